"""Take a subscription's events from its queue with pika, one at a time, each confirmed when it is done."""

import json
import os

import pika


def handle(channel, method, properties, body):
    record, delivery = json.loads(body), properties.headers["cloudEvents_renkeidelivery"]
    # Here: store the record and the delivery's id in one transaction; do nothing when the id is there already.
    print(delivery, record["atenabango"])
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.basic_qos(prefetch_count=1)  # with more, an event that is let go of comes back behind those that were fetched already
channel.basic_consume("out.tax_moved_in", handle)  # out.<subscription>
channel.start_consuming()
