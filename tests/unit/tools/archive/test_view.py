"""What the ledger knows of the archive, from topic `archived`."""

from __future__ import annotations

from clearinghub.config import Settings
from clearinghub.kafka.archived import OVERDUE, ArchivedView
from clearinghub.messages.archived import Archived, archived_key, encode_archived


def test_the_last_record_counts_and_without_one_nothing_is_archived() -> None:
    view = ArchivedView(Settings())
    third, other, fifth = (
        archived_key(*place).encode() for place in (("transfers", 3), ("positions", 4), ("transfers", 5))
    )
    assert 0 == view.sequence(3)
    for sequence in (5, 9, 7):
        view._take(third, encode_archived(Archived("transfers", 3, 70, sequence)))
    view._take(other, b'{"v":1,"topic":"positions","partition":4,"end":8,"sequence":null}')
    view._take(fifth, b'{"v":1,"topic":"transfers","partition":5,"end":8,"sequence":null}')
    view._take(third, b"nonsense")

    assert [7, 0, 0] == [view.sequence(number) for number in (3, 4, 5)]
    view._take(third, None)
    assert 0 == view.sequence(3)


def overdue_s() -> float:
    (metric,) = OVERDUE.collect()
    return metric.samples[0].value


def test_the_longest_wait_is_shown() -> None:
    view = ArchivedView(Settings())
    assert 0 == overdue_s()
    view.overdue(0, "transfers", 1_500)
    view.overdue(0, "bulks", 90_000)
    assert 90.0 == overdue_s()
    view.overdue(0, "bulks", 0)
    assert 1.5 == overdue_s()
