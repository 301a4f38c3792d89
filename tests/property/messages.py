"""Hypothesis's strategies for what can happen in a small scheme.

Three DFSPs, eight transfer ids and room for a few amounts: few enough for messages to concern the same transfers.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.messages import Flags, Fulfil, Happening, Limits, Message, Prepare, Timeout

DFSPS = ("alice", "bob", "carol")
SENDERS = (*DFSPS, "mallory")  # the last is no participant
TRANSFER_IDS = tuple(f"t{number}" for number in range(8))
START_MS = 1_700_000_000_000
ACTIONS = ("commit", "reserve", "reject", "abort")


_mostly_true = st.integers(0, 9).map(lambda number: number < 9)
_amounts = st.one_of(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 250), st.sampled_from((0, 1, 50, 100, 10**18 - 1, 10**18))
)
_rooms = st.one_of(st.sampled_from((0, 50, 100, 200)), st.integers(-10, 400))
# Multiples of ten, so that times are often equal; at times negative, since the times of two topics are not in order.
_elapsed_ms = st.sampled_from((0, 0, 10, 10, 20, 50, -10))
_kinds = st.sampled_from(("prepare",) * 6 + ("fulfil",) * 7 + ("timeout",) * 2 + ("again",) * 2 + ("limits", "flags"))
_limits = st.builds(Limits, st.sampled_from(DFSPS), st.one_of(_rooms, _rooms, st.none()), _rooms)
_flags = st.builds(Flags, st.sampled_from(DFSPS), _mostly_true, _mostly_true)


@st.composite
def _prepares(draw: st.DrawFn, now_ms: int) -> Prepare:
    """Draw a prepare: mostly valid, at times with a stranger, to oneself, or too late."""
    payer = draw(st.sampled_from(DFSPS if draw(_mostly_true) else SENDERS))
    others = [name for name in DFSPS if name != payer]
    return Prepare(
        transfer_id=draw(st.sampled_from(TRANSFER_IDS)),
        source=payer if draw(_mostly_true) else draw(st.sampled_from(SENDERS)),
        payer=payer,
        payee=draw(st.sampled_from(others if draw(_mostly_true) else SENDERS)),
        amount=draw(_amounts),
        right_condition=draw(_mostly_true),
        expires_at_ms=now_ms + draw(st.sampled_from((50, 50, 100, 200, 10, 0, -10))),
    )


@st.composite
def _fulfils(draw: st.DrawFn, prepares: dict[str, Prepare]) -> Fulfil:
    """Draw a fulfil: mostly from the true payee to the true payer, which would seldom happen by chance."""
    known = draw(st.sampled_from([None, *sorted(prepares)]))
    prepare = None if known is None else prepares[known]
    source, destination = draw(st.sampled_from(SENDERS)), draw(st.sampled_from((None, *SENDERS)))
    if prepare is not None and draw(_mostly_true):
        source = prepare.payee
    if prepare is not None and draw(_mostly_true):
        destination = prepare.payer
    return Fulfil(
        transfer_id=prepare.transfer_id if prepare is not None else draw(st.sampled_from(TRANSFER_IDS)),
        action=draw(st.sampled_from(("commit", *ACTIONS))),
        source=source,
        destination=destination,
        right_fulfilment=draw(st.sampled_from((True, True, True, True, False, None))),
        version=draw(st.sampled_from(("1.1", "1.1", "1.1", "1.0"))),
        error_code=draw(st.sampled_from(("5104", "5104", "9999"))),
        note=draw(st.integers(0, 1)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Happening]:
    """Draw up to 40 messages in the order in which the ledger reads them."""
    now_ms = START_MS
    happenings: list[Happening] = []
    prepares: dict[str, Prepare] = {}  # the first one of each id
    for _ in range(draw(st.integers(1, 40))):
        now_ms += draw(_elapsed_ms)
        message = _draw_message(draw, happenings, prepares, now_ms)
        if isinstance(message, Prepare):
            prepares.setdefault(message.transfer_id, message)
        happenings.append(Happening(message, now_ms))
    return happenings


def _draw_message(draw: st.DrawFn, happenings: list[Happening], prepares: dict[str, Prepare], now_ms: int) -> Message:
    kind = draw(_kinds)
    if kind == "again" and happenings:
        return draw(st.sampled_from(happenings)).message
    if kind == "fulfil":
        return draw(_fulfils(prepares))
    if kind == "timeout":
        return Timeout(draw(st.sampled_from(sorted(prepares) or TRANSFER_IDS)))
    if kind == "limits":
        return draw(_limits)
    if kind == "flags":
        return draw(_flags)
    return draw(_prepares(now_ms))
