"""Answer the questions of other systems: each reply names the message it answers."""

import asyncio
import os

from renkei_client import Client


async def main(most: int | None = None) -> None:
    handled = 0
    client = Client(os.environ.get("RENKEI_URL", "http://127.0.0.1:9461"), "332020", os.environ.get("RENKEI_KEY"))
    async with client, client.subscribe("register_question") as deliveries:
        async for delivery in deliveries:
            question = delivery.event
            answer = {"atenabango": question.data["atenabango"], "kyoju": "1", "jusho": "岡山県倉敷市西中新田６４０番地"}
            await client.publish(
                "answer",
                answer,
                type="jp.example.residence_answer",
                source="/332020/register",
                id=f"answer-{question.message}",  # the same for a question that comes twice: answered once
                in_reply_to=question.message,
            )
            handled += 1
            if handled == most:
                break


if __name__ == "__main__":
    asyncio.run(main(int(os.environ["MOST"]) if "MOST" in os.environ else None))
