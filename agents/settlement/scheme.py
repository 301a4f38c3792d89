"""How every partition learns by which models the scheme settles, and its feature level (ADR 16, 25).

The hub's row has both. A change of it is broadcast, so that each partition applies what is new from one record
on, and decides the same in a replay.
"""

from __future__ import annotations

from typing import Final

from agents.features import check_known_level
from agents.settlement.windows import broadcast
from agents.turn import Turn
from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.record import Punctuator, PunctuatorView, View
from clearinghub.messages.settlement import SchemeMessage
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.scheme import KEY, SCHEME, SchemeCopy, scheme_copy

BROADCAST: Final = "scheme"  # counter: the version of the hub's row that was broadcast last


def publish_scheme(view: View, hub: Participant) -> None:
    """Broadcast the scheme's models; to be called whenever the hub's row has changed."""
    broadcast(view, SchemeMessage(hub_version=hub.version, models=hub.models, feature_level=hub.feature_level))
    view.put(COUNTERS, BROADCAST, hub.version)


def make_scheme_punctuator(coordinator: int, hub_name: str) -> Punctuator:
    """Return the punctuator that broadcasts, once, models that an older release stored without a broadcast."""

    def punctuate(view: PunctuatorView, _now_ms: int) -> None:
        if view.partition != coordinator or view.get(COUNTERS, BROADCAST) is not None:
            return
        hub = view.get(PARTICIPANTS, hub_name)
        if hub is not None and hub.models:
            publish_scheme(view, hub)

    return punctuate


def on_scheme(turn: Turn, message: SchemeMessage, _body: bytes) -> None:
    """Store the scheme's models and feature level on this partition, unless a later version is here already.

    From this record on, the partition writes what the level adds.
    """
    check_known_level(turn.context, turn.view.partition, message.feature_level)
    if message.hub_version >= scheme_copy(turn.view).hub_version:
        turn.view.put(SCHEME, KEY, SchemeCopy(message.hub_version, message.models, message.feature_level))
