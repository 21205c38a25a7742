"""Upload a file for the batch; what is cut off goes on where it was cut."""

import asyncio
import os
import sys

from renkei_client import Client


async def main(file: str) -> int:
    async with Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY")) as client:
        uploaded = await client.upload("month", file)
    print(uploaded.state, uploaded.receipt, uploaded.message)
    return 0 if uploaded.state in {"accepted", "duplicate"} else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
