"""Feature levels: what a release may write only when every process of the hub can read it (ADR 26).

A later release adds a level for each change that the release before it cannot read or keep. The scheme's level is in
the hub's row. An operator raises it when no earlier release runs any more, and it is never lowered.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class FeatureLevel(NamedTuple):
    """A level, the release that brought it, and what is written only from it on, for operators to read."""

    level: int
    release: str
    adds: str


FIRST_LEVEL: Final = 1
FEATURE_LEVELS: Final = (FeatureLevel(FIRST_LEVEL, "1.0.0", "all rows and messages of release 1.0.0"),)
HIGHEST_LEVEL: Final = FEATURE_LEVELS[-1].level


class UnknownLevelError(Exception):
    """The scheme has a feature level that this release does not know: it could not read what the others write."""

    def __init__(self, level: int, highest: int, release: str) -> None:
        super().__init__(
            f"the scheme is at feature level {level}, and release {release} knows levels up to {highest}: start a "
            "later release. `clearinghub admin features list` shows which release brought the level."
        )


def check_level(level: int, release: str, highest: int = HIGHEST_LEVEL) -> None:
    """Check that this release knows a level.

    Raises:
        UnknownLevelError: it does not.
    """
    if level > highest:
        raise UnknownLevelError(level, highest, release)
