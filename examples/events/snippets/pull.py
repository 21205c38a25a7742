"""Take a subscription's events, one after another, each in effect once although it may come twice."""

import asyncio
import os
import sqlite3

from renkei_client import Client


async def main(most: int | None = None) -> None:
    ours = sqlite3.connect(os.environ.get("OUR_DATABASE", "tax.db"))
    ours.execute("create table if not exists handled (delivery text primary key)")
    ours.execute("create table if not exists moved_in (atenabango text primary key, rirekibango integer, shimei text)")
    handled = 0
    client = Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY"))
    async with client, client.subscribe("tax_moved_in") as deliveries:
        async for delivery in deliveries:
            with ours:  # one transaction: the effect and the proof that it happened
                if ours.execute("insert or ignore into handled values (?)", [delivery.id]).rowcount:
                    record = delivery.event.data
                    ours.execute(
                        "insert into moved_in values (:atenabango, :rirekibango, :shimei) on conflict do update"
                        " set rirekibango = excluded.rirekibango, shimei = excluded.shimei"
                        " where excluded.rirekibango >= moved_in.rirekibango",
                        {name: record[name] for name in ("atenabango", "rirekibango", "shimei")},
                    )
            print(delivery.number, delivery.id)
            handled += 1
            if handled == most:
                break
        # Leaving the loop acknowledges the last one. An error in it hands its delivery back: it comes again later.
    ours.close()


if __name__ == "__main__":
    asyncio.run(main(int(os.environ["MOST"]) if "MOST" in os.environ else None))
