"""A client of Kafka by another author. `kafka.py PORT get TOPIC COUNT` writes what a topic has from
its begin on, a line of JSON each; `kafka.py PORT put TOPIC CODEC KEY TEXT…` sends messages and writes
their partitions; `kafka.py PORT committed TOPIC GROUP` writes the offsets of a group, summed up."""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

port, what, topic, *rest = sys.argv[1:]
broker = {"bootstrap_servers": f"127.0.0.1:{port}"}


def told(message):
    return json.dumps(
        {
            "partition": message.partition,
            "key": message.key and message.key.decode(),
            "value": message.value and message.value.decode(),
            "headers": {name: value.decode() for name, value in message.headers},
        }
    )


async def put(codec, key, *values):
    packed = None if codec == "none" else codec
    async with AIOKafkaProducer(**broker, compression_type=packed) as producer:
        for value in values:
            headers = [("order", b"o7"), ("unit", b"kg")]
            sent = await producer.send_and_wait(
                topic, value.encode(), key=key.encode() or None, headers=headers
            )
            print(sent.partition)


async def get(count):
    async with AIOKafkaConsumer(topic, **broker, auto_offset_reset="earliest") as consumer:
        for _ in range(int(count)):
            print(told(await consumer.getone()))


async def committed(group):
    consumer = AIOKafkaConsumer(**broker, group_id=group, enable_auto_commit=False)
    async with consumer:
        partitions = await consumer._client.fetch_all_metadata()
        all = [TopicPartition(topic, it) for it in partitions.partitions_for_topic(topic)]
        print(sum([await consumer.committed(it) or 0 for it in all]))


asyncio.run({"put": put, "get": get, "committed": committed}[what](*rest))
