"""Publish one event; every broken rule is told when the record breaks its contract."""

import asyncio
import os
import sys

from renkei_client import Client, ContractViolated, Unavailable

CHANGE = os.environ.get("CHANGE", "2026-000123")  # the number of the change in our own database, and nothing about the person
RECORD = {
    "atenabango": "000000000000012",
    "rirekibango": "1",
    "jumin_shubetsu": "1",
    "shimei": "倉敷　太郎",
    "jusho_yubinbango": "7108565",
    "jusho": "岡山県倉敷市西中新田６４０番地",
    "ido_ymd": "2026-11-20",
}


async def main() -> int:
    async with Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY")) as client:
        try:
            # The same change has the same id: after a crash the same call publishes nothing twice.
            published = await client.publish(
                "moved_in",
                RECORD,
                type="jp.example.moved_in",
                source="/332020/register",
                id=f"change-{CHANGE}",
            )
        except ContractViolated as refused:
            for problem in refused.problems:
                print(problem.field, problem.rule, problem.value, problem.words["ja"], file=sys.stderr)
            return 1
        except Unavailable as error:
            print(f"later, with the same id: {error}", file=sys.stderr)
            return 75
        print(published.message, published.outcome)
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
