"""What the ledger's decisions need beside the tables: the scheme's rules and a copy of its participants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agents.reminders import Reminders
from clearinghub.config import Settings
from clearinghub.domain.answers import AnswerRules
from clearinghub.domain.participants.participant import Oracle, Participant, ParticipantDirectory
from clearinghub.domain.parties.party import PARTY_TYPES
from clearinghub.domain.quotes.agreement import Policy
from clearinghub.domain.settlement.interchange_fee import FeeRule
from clearinghub.features import HIGHEST_LEVEL


@dataclass(frozen=True, slots=True)
class QuoteRules:
    """Whether the hub stores quotes, or only forwards them; a quote without expiration is valid for `lifetime_ms`."""

    policy: Policy
    stored: bool = False
    lifetime_ms: int = 0


def answer_rules(settings: Settings) -> AnswerRules:
    """Return the rules of answers that the settings describe."""
    return AnswerRules(settings.answers == "requested", settings.answer_within_s)


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """The rules by which every partition of one hub decides; the same in production, in tests and in the simulation.

    `completed_ahead_ms_max` and `completed_age_ms_max` bound a fulfilment's completedTimestamp against the record's
    time. A forwarded message is not delivered any more after `forward_patience_ms` (ADR 12). Settlement reads and
    writes at most `settlement_entries_at_once` nets, accounts or legs with one record (design 7). `highest_level` is
    the last feature level that this release knows.
    With a command of `four_eyes` another operator must agree (ADR 43).
    `count_alarm` counts an alarm of operators by its event.
    """

    hub_name: str
    participants: ParticipantDirectory
    on_us_transfers: bool = False
    confirm_to_payee: bool = True
    completed_ahead_ms_max: int = 200
    completed_age_ms_max: int = 300_000
    fsp_in_bulk_paths: bool = False
    built_in_oracle_types: frozenset[str] = frozenset(PARTY_TYPES)
    participants_reference_shapes: bool = False
    forward_patience_ms: int = 10_000
    settlement_entries_at_once: int = 500
    fee_rules: tuple[FeeRule, ...] = ()
    highest_level: int = HIGHEST_LEVEL
    four_eyes: frozenset[str] = frozenset()
    count_alarm: Callable[[str], None] = lambda _event: None
    answers: AnswerRules = field(default_factory=AnswerRules)
    quotes: QuoteRules = field(default_factory=lambda: QuoteRules(Policy("Hub")))
    # The process's memory, no rules: reminders, and by partition the time of the last record about a question.
    reminders: Reminders = field(default_factory=Reminders, compare=False)
    latest_question_ms: dict[int, int] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls, settings: Settings, participants: ParticipantDirectory, fee_rules: tuple[FeeRule, ...] = ()
    ) -> LedgerContext:
        """Return the context that the settings describe."""
        return cls(
            settings.hub_name,
            participants,
            settings.on_us_transfers,
            confirm_to_payee=settings.confirm_to_payee,
            completed_ahead_ms_max=settings.completed_timestamp_ahead_ms_max,
            completed_age_ms_max=settings.completed_timestamp_age_ms_max,
            fsp_in_bulk_paths=settings.fsp_in_bulk_paths,
            forward_patience_ms=settings.forward_patience_ms,
            settlement_entries_at_once=settings.settlement_entries_at_once,
            built_in_oracle_types=frozenset(settings.built_in_oracle_types),
            participants_reference_shapes=settings.participants_reference_shapes,
            fee_rules=fee_rules,
            four_eyes=frozenset(settings.four_eyes),
            answers=answer_rules(settings),
            quotes=QuoteRules(
                Policy(settings.hub_name, parties_must_match=settings.quote_parties_must_match),
                stored=settings.quotes == "stored",
                lifetime_ms=settings.quote_lifetime_s * 1000,
            ),
        )

    @property
    def oracles(self) -> tuple[Oracle, ...]:
        """The external oracles that the scheme has registered."""
        hub = self.participants.get(self.hub_name)
        return () if hub is None else hub.oracles

    def dfsp(self, name: str) -> Participant | None:
        """Return the participant of that name, active or not, unless it is the hub or unknown."""
        return None if name == self.hub_name else self.participants.get(name)

    def is_dfsp(self, name: str) -> bool:
        """Return whether `name` is a participant other than the hub, active or not."""
        return self.dfsp(name) is not None
