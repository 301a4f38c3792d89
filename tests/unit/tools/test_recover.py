"""What is announced of a stopped partition, and what a decision about it is valid for."""

from __future__ import annotations

from pathlib import Path

from clearinghub.config import Settings
from clearinghub.engine import loss
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.status import StoppedPartition
from clearinghub.kafka.view import RecoveriesView, decode_worker_url
from clearinghub.messages.recoveries import Recovery, decode_recovery, decode_worker, encode_recovery
from clearinghub.roles.ledger import make_announcement, make_stop_announcement
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
    assert {"http://worker"} == {decode_worker_url(one.value) for one in view.on("workers")}


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
    assert codes == set(EFFECTS)
