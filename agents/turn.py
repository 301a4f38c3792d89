"""`Turn`: all that a handler may use while it decides one record."""

from __future__ import annotations

from typing import NamedTuple

from agents.context import LedgerContext
from clearinghub.engine.record import Record, View


class Turn(NamedTuple):
    """One record being decided on its partition.

    `now_ms` is the time that the broker wrote into the record, so that a replay decides the same. `trace` is the
    W3C trace context of the request that led to the record. `view` is the partition's state, with this turn's changes.
    """

    record: Record
    view: View
    context: LedgerContext
    trace: str | None
    now_ms: int

    @property
    def hub_name(self) -> str:
        """The name under which the hub itself is a participant."""
        return self.context.hub_name

    @property
    def place(self) -> str:
        """The record's topic, partition and offset, joined: a name that no other record has."""
        record = self.record
        return f"{record.topic}-{record.partition}-{record.offset}"
