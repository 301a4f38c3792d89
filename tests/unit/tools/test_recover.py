"""What is announced of a stopped partition, and what a decision about it is valid for."""

from __future__ import annotations

from pathlib import Path

from clearinghub.config import Settings
from clearinghub.engine import loss
from clearinghub.engine.errors import PartitionStoppedError, StoppedInput
from clearinghub.engine.hops import HOP_CONTRADICTION, HOP_GAP
from clearinghub.engine.outbox import OUTBOX_LOST
from clearinghub.engine.record import Record
from clearinghub.engine.status import PartitionState, PartitionStatus, StoppedPartition
from clearinghub.engine.stopped_inputs import INPUT_STOPPED, input_stop
from clearinghub.kafka.view import RecoveriesView
from clearinghub.messages.recoveries import Recovery, decode_recovery, decode_worker, encode_recovery
from clearinghub.roles.ledger import make_announcement, make_inputs_announcement, make_stop_announcement
from clearinghub.roles.ledger_rows import report_of, stopped_input
from clearinghub.tools.recover import EFFECTS
from tests.fakes import MemoryView

STOP = PartitionStoppedError("input-lost", "prepare/1 lacks the offsets 5 to 7", "see the page")
STOPPED = StoppedPartition(STOP.code, STOP.sentence, STOP.remedy, 7, STOP.stop_id)


def test_operators_see_why_a_partition_is_stopped_until_it_works_again() -> None:
    view = MemoryView(partition=1, partitions=4)
    make_stop_announcement("http://worker")(view, STOPPED)
    make_announcement("http://worker")(view, 0)
    stopped, works = (decode_worker(one.value) for one in view.on("workers"))

    assert stopped.stopped is not None
    assert tuple(STOPPED) == (
        stopped.stopped.code,
        stopped.stopped.sentence,
        stopped.stopped.remedy,
        stopped.stopped.since_ms,
        stopped.stopped.stop_id,
    )
    assert works.stopped is None
    assert {"http://worker"} == {decode_worker(one.value).url for one in view.on("workers")}


def test_operators_see_which_inputs_are_stopped_until_all_go_on() -> None:
    view = MemoryView(partition=1, partitions=4)
    record = Record("credit", 1, 3, 0, b"payeefsp", b"odd")
    stop = input_stop(record, TypeError("an amount"))
    announce = make_inputs_announcement("http://worker")
    announce(view, [StoppedInput("credit", 3, "TypeError('an amount')", 7, stop)])
    announce(view, [])
    stopped, works = (decode_worker(one.value) for one in view.on("workers"))

    (shown,) = stopped.stops
    assert ("input-stopped", "credit", 7, stop.stop_id) == (shown.code, shown.topic, shown.since_ms, shown.stop_id)
    assert "TypeError('an amount')" in shown.remedy
    assert () == works.stops


def test_what_is_reported_of_a_partition() -> None:
    stop = input_stop(Record("credit", 1, 3, 0, b"payeefsp", b"odd"), TypeError("an amount"))
    odd = StoppedInput("credit", 3, "TypeError('an amount')", 7, stop)
    works = PartitionStatus(1, PartitionState.READY, 5, 6, "", 0, None, ())

    assert ("working", ()) == (report_of(works).state.value, report_of(works).stops)
    half = report_of(works._replace(stopped_inputs=(odd,)))
    assert ("input-stopped", (stopped_input(odd),)) == (half.state.value, half.stops)
    whole = report_of(works._replace(state=PartitionState.STOPPED, stopped=STOPPED))
    assert ("stopped", [STOP.stop_id]) == (whole.state.value, [one.stop_id for one in whole.stops])
    assert "lost" == report_of(works._replace(state=PartitionState.LOST)).state.value


def test_a_decision_is_valid_for_its_partition_and_its_stop_only(tmp_path: Path) -> None:
    decision = Recovery(1, STOP.stop_id, STOP.code, STOP.sentence, "told them", "an operator", 8)
    view = RecoveriesView(Settings(kafka_bootstrap="none", data_dir=tmp_path))
    view._take(decision.key.encode(), encode_recovery(decision))

    assert decision == decode_recovery(encode_recovery(decision))
    assert view.is_accepted(1, STOP)
    assert not view.is_accepted(2, STOP)
    assert not view.is_accepted(1, PartitionStoppedError(STOP.code, STOP.sentence + "0", STOP.remedy))


def test_each_loss_says_what_going_on_means() -> None:
    codes = {
        value for name, value in vars(loss).items() if name.isupper() and isinstance(value, str) and name[0] != "_"
    }
    assert codes | {INPUT_STOPPED, HOP_GAP, HOP_CONTRADICTION, OUTBOX_LOST} == set(EFFECTS)
