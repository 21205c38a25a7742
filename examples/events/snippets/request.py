"""Ask another system and wait for its reply; a reply that comes later is not lost."""

import asyncio
import os
import sys

from renkei_client import Client, Expired, NoReplyYet


async def main() -> int:
    wait_seconds = float(os.environ.get("WAIT", "30"))
    question = {"atenabango": "000000000000012", "kijun_ymd": "2026-01-01"}
    async with Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY")) as client:
        try:
            reply = await client.request(
                "question", question, type="jp.example.residence_question", source="/332020/tax", wait_seconds=wait_seconds
            )
        except NoReplyYet as pending:
            print(f"not yet: client.reply({pending.message!r}) asks again")
            return 1
        except Expired as expired:
            print(f"nobody answered {expired.message} in its time")
            return 1
        print(reply.data)
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
