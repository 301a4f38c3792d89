"""Requests that may reach a partition which does not know what they are about (design 3).

What a DFSP asks about is on the partition of its payer, which the request need not name. Such a request visits the
partitions one after the other, each handing it to the next, until one knows the answer or all were visited.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from agents.turn import Turn
from clearinghub.messages import encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage
from clearinghub.messages.transfers import FulfilMessage, GetMessage

RingMessage: TypeAlias = FulfilMessage | GetMessage | BulkFulfilMessage | BulkGetMessage


def pass_to_next_partition(turn: Turn, topic: str, message: RingMessage, body: bytes) -> bool:
    """Hand a request to the next partition; return False, having done nothing, if all partitions were visited."""
    view = turn.view
    if message.hops + 1 >= view.partitions:
        return False
    onward = msgspec.structs.replace(message, hops=message.hops + 1)
    view.emit_to_partition(topic, (view.partition + 1) % view.partitions, message.id, encode(onward, body))
    return True
