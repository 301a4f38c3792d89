"""What can go wrong in the engine itself; business refusals are values and never come here.

EngineError
  PartitionLostError    another worker owns the partition now; what was not committed is forgotten
  ContiguityError       records are missing between two batches: going on would lose them
"""

from __future__ import annotations


class EngineError(Exception):
    """Root of the engine's errors."""


class PartitionLostError(EngineError):
    """The partition is not ours any more: fenced by its new owner, or revoked."""


class ContiguityError(EngineError):
    """A batch does not begin where the one before it ended."""
