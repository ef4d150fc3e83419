"""A client of AMQP by another author. `amqp.py PORT get QUEUE` writes the next message of a queue,
with its properties, as JSON; `amqp.py PORT put QUEUE TEXT` sends one; `amqp.py PORT count QUEUE`
writes how many there are."""

import json
import sys

import pika

port, what, queue, *rest = sys.argv[1:]
connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(port)))
channel = connection.channel()
if what == "put":
    properties = pika.BasicProperties(
        content_type="application/json", correlation_id="c7", headers={"unit": "kg", "count": 7}
    )
    channel.basic_publish("", queue, rest[0].encode(), properties)
elif what == "count":
    print(channel.queue_declare(queue, passive=True).method.message_count)
else:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    told = {name: value for name, value in vars(properties).items() if value is not None}
    print(json.dumps({"properties": told, "body": body.decode(), "key": method.routing_key}))
connection.close()
