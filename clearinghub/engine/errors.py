"""What can go wrong in the engine itself; business refusals are values and never come here.

EngineError
  PartitionLostError    another worker owns the partition now; what was not committed is forgotten
  ContiguityError       records are missing between two batches: going on would lose them
"""

from __future__ import annotations

import logging
from typing import Final

# Faust names a service's logger after the module of its class, which for a subclass of ours would be ours; its notes on
# each service's starting and stopping belong with the library's.
FAUST_LOGGER: Final = logging.getLogger("faust.engine")


class EngineError(Exception):
    """Root of the engine's errors."""


class PartitionLostError(EngineError):
    """The partition is not ours any more: fenced by its new owner, or revoked."""


class ContiguityError(EngineError):
    """A batch does not begin where the one before it ended."""


class RecordTooLargeError(Exception):
    """A handler emits or stores what the broker would refuse: its record is dead-lettered, and stops no partition."""
