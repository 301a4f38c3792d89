"""The processes that run, with their releases: on topic `processes`, a record of each every few seconds."""

from __future__ import annotations

from typing import Final

import msgspec

from clearinghub.messages.codec import VERSION


class RunningProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process says that it runs; `highest_level` is the last feature level that its release knows."""

    role: str
    instance: str
    release: str
    highest_level: int
    v: int = VERSION


_DECODER: Final = msgspec.json.Decoder(RunningProcess)


def encode_process(process: RunningProcess) -> bytes:
    return msgspec.json.encode(process)


def decode_process(value: bytes) -> RunningProcess:
    """Read a record's value. Fields of a later release are ignored.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _DECODER.decode(value)
