"""Where a request goes that does not fit what a partition knows, judged apart from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FITS, PAYEE, ID = 2, 1, 0
"""How near a row is to a request: it is meant, it has the same payee, it has the same id."""


def onward(partition: int, partitions: int, header: Mapping[str, Any], nearness: int | None) -> tuple[int, int] | None:
    """Return the partition that the request goes to and its hops then, or None if it is decided here."""
    visited = header["hops"]
    if nearness == FITS or visited >= partitions:
        return None
    seen = {PAYEE: header.get("same_payee_at"), ID: header.get("same_id_at")}
    if nearness is not None and seen[nearness] is None:
        seen[nearness] = partition
    if visited + 1 < partitions:
        return (partition + 1) % partitions, visited + 1
    back = next((place for place in (seen[PAYEE], seen[ID]) if place is not None), partition)
    return None if back == partition else (back, partitions)
