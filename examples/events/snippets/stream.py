"""Read a subscription as a stream that reconnects by itself; the number of the last event handled is kept beside its effect."""

import asyncio
import os
from pathlib import Path

from renkei_client import Client

PLACE = Path(os.environ.get("OUR_PLACE", "last-event-id"))


async def main(most: int | None = None) -> None:
    last = int(PLACE.read_text()) if PLACE.exists() else None
    handled = 0
    async with Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY")) as client:
        async for event in client.events("tax_moved_in", last_event_id=last):
            print(event.number, event.type, event.delivery)
            PLACE.write_text(str(event.number))  # with a database: in the transaction of the effect
            handled += 1
            if handled == most:
                break


if __name__ == "__main__":
    asyncio.run(main(int(os.environ["MOST"]) if "MOST" in os.environ else None))
