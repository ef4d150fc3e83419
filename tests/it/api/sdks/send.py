"""Sends events as the SDK's own examples do."""

import os
import urllib.request

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent


def send(message):
    address, headers = os.environ["EVENTS"], dict(message.headers)
    request = urllib.request.Request(address, message.body, headers, method="POST")
    assert urllib.request.urlopen(request).status // 100 == 2


def event(data):
    attributes = {"type": "sent", "source": "/sdk", "datacontenttype": "application/json"}
    return CloudEvent(attributes, data)


for data in ["hi", {"a": [1, "é"]}, [1, 2]]:
    send(to_binary_event(event(data)))
send(to_structured_event(event("hi")))
