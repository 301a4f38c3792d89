"""Raising the scheme's feature level, on the hub's partition."""

from __future__ import annotations

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import FeatureRaise, Participant


def raise_level(hub: Participant, level: int, reason: str, highest: int, now_ms: int) -> Participant | Rejection:
    """Return the hub at a higher feature level. A level is never lowered: rows of it may be stored already.

    `highest` is the last level that this release knows.
    """
    if level <= hub.feature_level:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"the feature level is {hub.feature_level} and is never lowered")
    if level > highest:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"the ledger knows feature levels up to {highest}")
    raised = FeatureRaise(level, now_ms, reason)
    return replace(hub, feature_raises=(*hub.feature_raises, raised), version=hub.version + 1)
