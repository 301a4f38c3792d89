"""Topic `oracle`: an offset is done once the answer is written, and not before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agents.oracle_questions import OracleAgent
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.oracles.client import OracleClient
from clearinghub.callbacks.oracles.http_client import OracleAnswer, OracleQuestion
from clearinghub.config import Settings
from clearinghub.engine.record import Record
from clearinghub.messages import decode_as, encode
from clearinghub.messages.parties import OracleAnswerMessage
from clearinghub.ports import RecorderBusyError
from tests.unit.callbacks.oracles.samples import REQUEST, question

PLACE = ("oracle", 0)


@dataclass
class Environment:
    """Oracle client and writer in one; the first `failures` writes fail."""

    failures: int = 0
    hangs: bool = False
    written: list[tuple[str, bytes]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    async def ask(self, _question: OracleQuestion) -> OracleAnswer:
        if self.hangs:
            await asyncio.Event().wait()
        return OracleAnswer(200, b"list")

    async def write(self, key: str, value: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise RecorderBusyError
        self.written.append((key, value))

    async def write_dead_letter(self, _record: Record, problem: str) -> None:
        self.dead.append(problem)


def record(offset: int, value: bytes | None = None) -> Record:
    return Record("oracle", 0, offset, 0, b"k", encode(question().message) if value is None else value)


async def settled(tracker: OffsetTracker, offset: int) -> bool:
    for _ in range(200):
        if tracker.committable() == {PLACE: offset}:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_an_answer_is_written_before_its_offset_is_done() -> None:
    around, tracker = Environment(failures=1), OffsetTracker()
    agent = OracleAgent(around, tracker, around.write, around.write_dead_letter)

    await agent.take([record(3), record(4)], 9)

    assert await settled(tracker, 9)
    assert ["MSISDN/1"] * 2 == [key for key, _value in around.written]
    answer, body = decode_as(OracleAnswerMessage, around.written[0][1])
    assert (REQUEST, b"list") == (answer.request, body)


async def test_what_cannot_be_read_is_a_dead_letter() -> None:
    around, tracker = Environment(), OffsetTracker()

    await OracleAgent(around, tracker, around.write, around.write_dead_letter).take([record(1, b"nonsense")], 2)

    assert await settled(tracker, 2)
    assert (["the record has no header"], []) == (around.dead, around.written)


async def test_a_question_in_flight_when_the_process_stops_is_read_again() -> None:
    around, tracker = Environment(hangs=True), OffsetTracker()
    agent = OracleAgent(around, tracker, around.write, around.write_dead_letter)
    await agent.take([record(1)], 2)
    await asyncio.sleep(0)

    await agent.close()

    assert {} == tracker.committable()


class Hanging:
    """The HTTP client of oracles of which all but the last hang."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    async def send(self, question: OracleQuestion) -> OracleAnswer:
        if question.message.oracle != LAST:
            await asyncio.Event().wait()
        self.answered.set()
        return OracleAnswer(200, b"list")


LAST = 20


async def test_slow_oracles_however_many_hold_up_no_other() -> None:
    around, tracker, oracles = Environment(), OffsetTracker(), Hanging()
    patient = Settings(oracle_timeout_ms=60_000)
    agent = OracleAgent(OracleClient(patient, oracles), tracker, around.write, around.write_dead_letter)
    numbers = [number for _ in range(600) for number in range(1, LAST)] + [LAST]
    values = [encode(question(oracle_id=number).message) for number in numbers]

    taking = asyncio.create_task(agent.take([record(offset, one) for offset, one in enumerate(values)], len(values)))
    await asyncio.wait_for(oracles.answered.wait(), 20)

    await taking
    await agent.close()
