"""`InMemoryHub`: a whole hub in memory, its records delivered by hand or at once. The one composition of all tests.

The parts are those of the role `ledger` (`ledger_parts`); only the broker, RocksDB and the clock are stand-ins.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiohttp.web import Application

from agents.context import LedgerContext
from agents.posting import move_account
from agents.settlement.booking import book_commit
from agents.turn import Turn
from clearinghub.callbacks.oracles.http_client import OracleAnswer, OracleQuestion
from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.settlement.interchange_fee import FeeRule
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import Handler, Record
from clearinghub.features import HIGHEST_LEVEL
from clearinghub.kafka.topology import load_topology
from clearinghub.messages import encode
from clearinghub.messages.commands import CommandMessage
from clearinghub.ports import FrontHealth
from clearinghub.roles.ledger_parts import coordinator_of, ledger_parts
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.windows import open_window
from tests.fakes import Emitted, FakeHealth, FakeParticipants, FakeRecorder, MemoryView, fields_of
from tests.unit.domain.samples import transfer as a_transfer
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import NO_SIGNATURES, SignatureCheck

START_MS: Final = 1_700_000_000_000
PARTITIONS: Final = 3  # the hub and "payerfsp" are on 0, "alpha" on 1, "beta" and "payeefsp" on 2

TopicPartition: TypeAlias = tuple[str, int]
Follower: TypeAlias = Callable[[Emitted], None]


class WaitingRecord(NamedTuple):
    """A record of an input topic that the ledger has not decided yet. `number` counts all of them as written."""

    number: int
    key: str
    value: bytes

    @property
    def header(self) -> dict[str, Any]:
        """The record's header, as JSON types."""
        return fields_of(self.value)[0]


class InMemoryHub(FakeRecorder):
    """Every partition of a ledger, and what its records lead to: further decisions, replies, callbacks, questions.

    It is the `Recorder` of the surfaces. Each record is decided, with all that follows from it, before `record`
    returns; with `delivers_at_once` False a test delivers them itself, in any order that Kafka allows: by topic and
    partition in the order of writing. `now_ms` grows by `tick_ms` with each decision. `followers` are called with every
    record that is written to a topic that is no input of the ledger.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        fee_rules: tuple[FeeRule, ...] = (),
        make_view: Callable[..., MemoryView] = MemoryView,
        delivers_at_once: bool = True,
        highest_level: int = HIGHEST_LEVEL,
    ) -> None:
        super().__init__()
        self.settings = settings = settings or Settings(partitions=PARTITIONS)
        self.participants = FakeParticipants()
        self.context = replace(LedgerContext.of(settings, self.participants, fee_rules), highest_level=highest_level)
        self.delivers_at_once = delivers_at_once
        self.now_ms = START_MS
        self.tick_ms = 1
        self.written: defaultdict[str, list[Emitted]] = defaultdict(list)
        self.waiting: dict[TopicPartition, deque[WaitingRecord]] = {}
        self.questions: list[OracleQuestion] = []
        self.oracle_answers: list[OracleAnswer] = []
        self.followers: defaultdict[str, list[Follower]] = defaultdict(list)
        self._held_back: frozenset[str] = frozenset()
        self._offsets: defaultdict[TopicPartition, int] = defaultdict(int)
        self._records_written = 0
        self._is_delivering = False  # the loop that has begun delivers what follows, too
        self._commits = 0
        self._command_numbers = count(1)
        self._parts = ledger_parts(settings, self.context)
        self._handlers: dict[str, Handler] = {one.topic: one.handler for one in self._parts.inputs}
        topics = load_topology().topics.values()
        self.partition_of = Partitioner({one.name: one.partition_count(settings.partitions) for one in topics})
        self.views = [
            make_view(number, settings.partitions, partitioner=self.partition_of)
            for number in range(settings.partitions)
        ]
        self.followers["participants"].append(lambda one: self.participants.take(one.value))
        self.followers["oracle"].append(self._answer_question)
        self.punctuate()

    # -- where things are

    @property
    def coordinator(self) -> MemoryView:
        """The partition that coordinates settlement."""
        return self.views[coordinator_of(self.settings)]

    def view_of(self, key: str) -> MemoryView:
        """The partition of a key: a participant's name, or the identifier of a party."""
        return self.views[self.partition_of("command", key)]

    def rows(self, table: Any) -> dict[str, Any]:
        """All rows of a table, from all partitions."""
        return {key: row for view in self.views for key, row in view.rows(table).items()}

    # -- records in

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write a record as the ingress does, and decide it."""
        await super().record(topic, key, value)
        self.write(topic, key, value)

    def write(self, topic: str, key: str, value: bytes, partition: int | None = None) -> None:
        """Write a record of an input topic; without a partition, to that of its key."""
        self._append(Emitted(topic, key, value, partition))
        self._deliver_if_at_once()

    def command(
        self, name: str, participant: str, args: dict[str, Any], partition: int | None = None, by: str = ""
    ) -> str:
        """Write a command of the operator `by`, to its participant's partition unless another is given.

        Return the correlation id that its reply will have.
        """
        correlation_id = f"c-{next(self._command_numbers)}"
        message = CommandMessage(
            participant=participant,
            correlation_id=correlation_id,
            reply_to="ingress-0",
            command=msgspec.Raw(msgspec.json.encode({"name": name, **args})),
            trace="00-trace",
            by=by,
        )
        self.write("command", participant, encode(message), partition)
        return correlation_id

    def dead_letter(self, topic: str, key: str, value: bytes, partition: int | None = None) -> None:
        """Do what the engine does when the handler has raised for a record: answer whoever sent it."""
        view = self.views[self.partition_of(topic, key) if partition is None else partition]
        self._parts.on_poison_record(self._next_record(topic, view.partition, key, value), view)
        self.follow(view)

    def punctuate(self) -> None:
        """Run all punctuators on all partitions, and decide what they write."""
        for view in self.views:
            for punctuator in self._parts.punctuators:
                punctuator(view, self.now_ms)
            self.follow(view)

    # -- delivery

    def hold_back(self, *topics: str) -> None:
        """From now on, records of these topics wait until `release`."""
        self._held_back = frozenset(topics)

    def release(self) -> None:
        """Decide what was held back, and hold nothing back any more."""
        self._held_back = frozenset()
        self.deliver_all()

    def deliver_all(self) -> None:
        """Decide all waiting records, and what follows from them, in the order in which they were written."""
        while places := [place for place in self.waiting if place[0] not in self._held_back]:
            self.deliver(min(places, key=lambda place: self.waiting[place][0].number))

    def deliver(self, place: TopicPartition) -> None:
        """Decide the next record of an input topic's partition."""
        first = self.take(place)
        self.decide(place, first.key, first.value)

    def take(self, place: TopicPartition) -> WaitingRecord:
        """Remove the next record of an input topic's partition, undecided, and return it."""
        first = self.waiting[place].popleft()
        if not self.waiting[place]:
            del self.waiting[place]
        return first

    def decide(self, place: TopicPartition, key: str, value: bytes) -> None:
        """Let the topic's handler decide a record now. What it raises is raised: a bug of the ledger."""
        topic, partition = place
        self.now_ms += self.tick_ms
        view = self.views[partition]
        for _step in self._handlers[topic](self._next_record(topic, partition, key, value), view) or ():
            pass
        self.follow(view)

    def follow(self, view: MemoryView) -> None:
        """Route what was written on a partition: to the ledger's own inputs, or to the followers of its topic."""
        for one in view.take():
            if one.topic in self._handlers:
                self._append(one)
            else:
                self.written[one.topic].append(one)
                for follower in self.followers[one.topic]:
                    follower(one)
        self._deliver_if_at_once()

    def _append(self, one: Emitted) -> None:
        partition = self.partition_of(one.topic, one.key) if one.partition is None else one.partition
        queue = self.waiting.setdefault((one.topic, partition), deque())
        queue.append(WaitingRecord(self._records_written, one.key, one.value))
        self._records_written += 1

    def _deliver_if_at_once(self) -> None:
        if not self.delivers_at_once or self._is_delivering:
            return
        self._is_delivering = True
        try:
            self.deliver_all()
        finally:
            self._is_delivering = False

    def _next_record(self, topic: str, partition: int, key: str, value: bytes) -> Record:
        offset = self._offsets[topic, partition]
        self._offsets[topic, partition] += 1
        return Record(topic, partition, offset, self.now_ms, key.encode(), value)

    def _answer_question(self, one: Emitted) -> None:
        """Answer a question to an oracle as the role `callbacks` does, with the next of `oracle_answers`."""
        question = OracleQuestion.parse(one.value)
        self.questions.append(question)
        self._append(Emitted("party", question.message.reply_key, question.answered(self.oracle_answers.pop(0))))

    # -- what came of it

    def waiting_on(self, topic: str) -> list[WaitingRecord]:
        """Return an input topic's records that are not decided yet, by partition in the order of writing."""
        places = sorted(place for place in self.waiting if place[0] == topic)
        return [one for place in places for one in self.waiting[place]]

    def new_records(self, topic: str) -> list[Emitted]:
        """Return what was written to a topic since the last call for it."""
        return self.written.pop(topic, [])

    # -- state that a test begins with

    def enroll(self, participant: Participant, *, net_debit_cap: int = 0, funds: int = 0) -> None:
        """Store a participant with its accounts: no command, no callback. Amounts are in units of the currency."""
        view = self.view_of(participant.name)
        view.put(PARTICIPANTS, participant.name, participant)
        self.participants.by_name[participant.name] = participant
        for account in participant.accounts:
            value = -funds if account.account_type == "SETTLEMENT" else 0
            row = Position(
                participant.name,
                account.currency,
                account.account_type,
                account.account_id,
                value=value,
                net_debit_cap=net_debit_cap,
                active=account.active,
            )
            view.put(POSITIONS, position_key(participant.name, account.currency, account.account_type), row)

    def commit(self, payer: str, payee: str, amount: int, currency: str = "USD", fee: int = 0) -> Transfer:
        """Commit a transfer that never was a request, as its payer's partition does; return its row."""
        self._commits += 1
        view = self.view_of(payer)
        row = a_transfer(
            State.COMMITTED,
            transfer_id=f"t-{self._commits}",
            payer=payer,
            payee=payee,
            amount=amount,
            currency=currency,
            window=open_window(view),
            interchange_fee=fee,
        )
        key = position_key(payer, currency, "POSITION")
        record = Record("fulfil", view.partition, self._commits, self.now_ms, payer.encode(), b"")
        turn = Turn(record, view, self.context, None, self.now_ms)
        move_account(turn, key, amount, row.transfer_id, "PRINCIPLE_VALUE")
        book_commit(turn, row)
        self.follow(view)
        return row

    # -- surfaces

    def fspiop_app(
        self,
        health: FrontHealth | None = None,
        now_ms: Callable[[], int] | None = None,
        signatures: SignatureCheck = NO_SIGNATURES,
    ) -> Application:
        """The DFSPs' surface over this hub."""
        return build_fspiop_app(
            self.settings,
            self,
            health or FakeHealth(),
            now_ms=now_ms or (lambda: self.now_ms),
            signatures=signatures,
            participants=self.participants,
        )
