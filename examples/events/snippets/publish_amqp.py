"""Publish one event over AMQP with pika: attributes in headers (cloudEvents_...), confirmed when it is in the queue."""

import json
import os

import pika

CHANGE = os.environ.get("CHANGE", "2026-000123")  # the number of the change in our own database, and nothing about the person
RECORD = {
    "atenabango": "000000000000012",
    "rirekibango": "1",
    "jumin_shubetsu": "1",
    "shimei": "倉敷　太郎",
    "jusho": "岡山県倉敷市西中新田６４０番地",
    "ido_ymd": "2026-11-20",
}

# The tenant's own virtual host: amqps://register:password@mq.example/renkei.332020
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish returns when the broker has it, and raises when it cannot be routed or is refused
channel.basic_publish(
    exchange="renkei.in",
    routing_key="moved_in",  # the interface
    body=json.dumps(RECORD).encode(),
    mandatory=True,
    properties=pika.BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        headers={
            "cloudEvents_specversion": "1.0",
            "cloudEvents_id": f"change-{CHANGE}",
            "cloudEvents_source": "/332020/register",
            "cloudEvents_type": "jp.example.moved_in",
        },
    ),
)
connection.close()
