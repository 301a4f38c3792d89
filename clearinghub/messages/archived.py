"""How far the archive is, for the ledger: on topic `archived`, compacted, one record for each partition."""

from __future__ import annotations

from typing import Final

import msgspec

from clearinghub.messages.codec import VERSION


class Archived(msgspec.Struct, frozen=True):
    """The records of a partition of `topic` before offset `end` are in files on the archive's disk.

    `sequence` is the number of the last final state among them, on topic `transfers` only.
    """

    topic: str
    partition: int
    end: int
    sequence: int | None
    v: int = VERSION

    @property
    def key(self) -> str:
        """The key of the record."""
        return archived_key(self.topic, self.partition)


_DECODER: Final = msgspec.json.Decoder(Archived)


def archived_key(topic: str, partition: int) -> str:
    """Return the key of a partition's record."""
    return f"{topic}/{partition}"


def encode_archived(archived: Archived) -> bytes:
    return msgspec.json.encode(archived)


def decode_archived(value: bytes) -> Archived:
    """Read a record's value.

    Raises:
        ValueError: it is none, or of another version.
    """
    try:
        archived = _DECODER.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if archived.v != VERSION:
        raise ValueError(f"version {archived.v}")
    return archived
