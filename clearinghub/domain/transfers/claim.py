"""Claims: who has used an id that a client chose, where its transfer or bulk has no row, or none any more (ADR 31)."""

from __future__ import annotations

from clearinghub.rows import Row


class Claim(Row, frozen=True, array_like=True):
    """The use of an id.

    Attributes:
        payer: the payer of the transfer or bulk; of funds in or out the participant.
        until_ms: when the id may be used again, in milliseconds since 1970; None for never.
        kind: `transfer`, `bulk`, `funds-in` or `funds-out`.
        hash: the hash of the request's body; of funds only.
        state: the last state; of funds that are over only.
    """

    payer: str
    until_ms: int | None
    kind: str
    hash: str = ""
    state: str = ""
