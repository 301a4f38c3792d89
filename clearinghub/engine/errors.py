"""What can go wrong in the engine itself; refusals of payments are values and never come here.

EngineError
  PartitionLostError    another worker owns the partition now
  PartitionStoppedError the partition must not go on until an operator has decided; the others do
  ContiguityError       records are missing between two batches
  ChangelogOffsetError  a changelog's records did not get the offsets that were foreseen
  StoredFormatError     the tables were written by a release whose rows this release cannot read
RecordTooLargeError     a handler writes what the broker would refuse
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Final, NamedTuple

# Faust names a service's logger after the module of its class. Without this, messages about our subclasses' starting
# and stopping would be logged as messages of our modules.
FAUST_LOGGER: Final = logging.getLogger("faust.engine")


class EngineError(Exception):
    """Root of the engine's errors."""


class PartitionLostError(EngineError):
    """This worker no longer owns the partition: it was fenced by the new owner, or the partition was revoked."""


class PartitionStoppedError(EngineError):
    """The partition must not go on: what is stored contradicts itself, or is missing, and no restart mends it.

    Raise it at opening, while seeking, in a round or at a commit. Only this partition stops; the process and its other
    partitions go on. An operator sees the partition with `clearinghub admin partitions`.
    """

    def __init__(self, code: str, sentence: str, remedy: str) -> None:
        """Say why the partition stops.

        Args:
            code: names the kind of the reason in metrics, logs and commands, such as `input-lost`.
            sentence: says what is wrong, with names, numbers and times. It must be the same after a restart.
            remedy: says what the operator can do.
        """
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.remedy = remedy

    @property
    def stop_id(self) -> str:
        """Names this very stop: a decision to go on past it is valid for no other."""
        return sha256(f"{self.code}\n{self.sentence}".encode()).hexdigest()[:16]


class ContiguityError(EngineError):
    """A batch does not begin where the batch before it ended: to decide it would lose the records in between."""


class ChangelogOffsetError(EngineError):
    """A round's rows got other offsets than its row of offsets says: nothing of it may be committed."""


class StoredFormatError(EngineError):
    """A partition's tables hold rows of another format: this release must neither read nor overwrite them."""


class RecordTooLargeError(Exception):
    """A handler emits or stores what the broker would refuse. Its record is dead-lettered; the partition continues."""


class StoppedInput(NamedTuple):
    """The record at which an input has stopped, what its handler raised, and when, in milliseconds since 1970.

    `stop` is what an operator may decide to go on past.
    """

    topic: str
    offset: int
    error: str
    since_ms: int
    stop: PartitionStoppedError
