"""The ledger's copy of the operators' decisions about stopped partitions."""

from __future__ import annotations

from clearinghub.config import Settings
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.kafka.view import CompactedView
from clearinghub.messages.recoveries import Recovery, decode_recovery, recovery_key


class RecoveriesView(CompactedView[Recovery]):
    """Says whether an operator has decided to go on past a stop."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "recoveries", decode_recovery)

    def is_accepted(self, partition: int, stop: PartitionStoppedError) -> bool:
        """Return whether there is a decision for this very stop of the partition."""
        return recovery_key(partition, stop.stop_id) in self.values
