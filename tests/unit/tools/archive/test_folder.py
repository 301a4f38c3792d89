"""What an archive knows from its files' names alone, and which hub it belongs to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clearinghub.messages.archived import Archived, decode_archived, encode_archived
from clearinghub.tools.archive import FolderError
from clearinghub.tools.archive.batch import ROWS_MAX, Batch
from clearinghub.tools.archive.files import INCOMING, Span, merged, span_of
from clearinghub.tools.archive.folder import Folder, opened
from tests.analysts import schema_of
from tests.archived import final, places_in, record


def add(folder: Folder, begin: int, count: int, end: int | None = None, topic: str = "transfers") -> None:
    batch = Batch(topic, 2, begin, folder.last_sequence(2, begin))
    for offset in range(begin, begin + count):
        batch.add(offset, final(offset + 1) if topic == "transfers" else record(topic))
    folder.commit(batch, end)


def test_a_restart_knows_what_is_archived(tmp_path: Path) -> None:
    with opened(tmp_path, "c", "") as folder:
        assert [Span("transfers", 2, 4, 30)] == folder.missing("transfers", 2, 4, 30)
        add(folder, 4, 3)
        add(folder, 7, 3, end=12)
        before = folder.progress()
    with opened(tmp_path, "c", "") as folder:
        assert before == folder.progress() == [Archived("transfers", 2, 12, 10)]
        assert [Span("transfers", 2, 12, 30)] == folder.missing("transfers", 2, 0, 30)
        assert [] == folder.missing("transfers", 2, 0, 12)
        assert [] == folder.missing("transfers", 2, 12, 12)
        assert (10, None) == (folder.last_sequence(2, 12), folder.last_sequence(2, 13))
        assert [] == folder.missing("positions", 2, 5, 5)


def test_a_gap_between_files_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path, "c", "") as folder:
        for begin in (0, 2, 4, 6):
            add(folder, begin, 2)
    for path in tmp_path.glob("transfers/**/*-0000000000000000002-0000000000000000004-*"):
        path.unlink()

    with opened(tmp_path, "c", "") as folder:
        assert [Span("transfers", 2, 2, 4), Span("transfers", 2, 8, 10)] == folder.missing("transfers", 2, 0, 10)
        add(folder, 2, 2)
        assert [Archived("transfers", 2, 8, 8)] == folder.progress()
        assert [Span("transfers", 2, 8, 10)] == folder.missing("transfers", 2, 0, 10)
    assert {(2, offset): 1 for offset in range(8)} == places_in(tmp_path, "transfers")


def test_days_that_were_removed_are_not_copied_again_and_take_no_others_with_them(tmp_path: Path) -> None:
    """A batch may have files of two days; removing the older day must not remove the other."""
    with opened(tmp_path, "c", "") as folder:
        add(folder, 0, 8)
    shutil.rmtree(tmp_path / "transfers/day=2026-03-03")
    left = places_in(tmp_path, "transfers")
    assert 4 == left.total()

    with opened(tmp_path, "c", "") as folder:
        assert [] == folder.missing("transfers", 2, 0, 8)
    assert left == places_in(tmp_path, "transfers")


def test_offsets_that_are_there_twice_are_an_error(tmp_path: Path) -> None:
    with opened(tmp_path, "c", "") as folder:
        add(folder, 0, 2)
    (path,) = tmp_path.glob("transfers/**/*1of2.parquet")
    shutil.copy(path, path.with_name("transfers-0002-0000000000000000001-0000000000000000005-1of1.parquet"))

    with pytest.raises(FolderError, match="twice"), opened(tmp_path, "c", ""):
        pass


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with opened(tmp_path, "c", "") as folder:
        add(folder, 0, 1)
    (path,) = tmp_path.glob("transfers/**/*.parquet")
    path.write_bytes(b"PAR1 no more")

    with pytest.raises(FolderError, match="cannot be read"), opened(tmp_path, "c", ""):
        pass


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "transfers").mkdir()
    strange = tmp_path / "transfers/notes.parquet"
    strange.write_text("mine")
    (tmp_path / INCOMING).mkdir()
    (tmp_path / INCOMING / "%2Fetc%2Ftransfers-0000-0000000000000000000-0000000000000000001-1of1.parquet").touch()

    with opened(tmp_path, "c", "") as folder:
        add(folder, 0, 1)

    assert "mine" == strange.read_text()
    assert [] == list((tmp_path / INCOMING).iterdir())


def test_one_archive_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path, "c", ""), pytest.raises(FolderError, match="in use"), opened(tmp_path, "c", ""):
        pass
    with opened(tmp_path, "c", ""):
        pass


@pytest.mark.parametrize(("cluster", "prefix"), [("other", ""), ("c", "test-")])
def test_an_archive_of_other_topics(tmp_path: Path, cluster: str, prefix: str) -> None:
    with opened(tmp_path, "c", ""):
        pass

    with pytest.raises(FolderError, match="choose another folder"), opened(tmp_path, cluster, prefix):
        pass


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FolderError, match="cannot be used"), opened(tmp_path / "file" / "below", "c", ""):
        pass
    (tmp_path / "archive.json").write_text("{")
    with pytest.raises(FolderError, match="cannot be read"), opened(tmp_path, "c", ""):
        pass


def test_names() -> None:
    span = Span("settlement-windows", 12, 5, 70)

    assert "settlement-windows-0012-0000000000000000005-0000000000000000070-1of2.parquet" == span.file_name(1, 2)
    assert span == span_of(span.file_name(1, 2))
    assert span_of("transfers.parquet") is None
    assert [Span("t", 0, 0, 5), Span("t", 0, 6, 9)] == merged(
        [Span("t", 0, 7, 9), Span("t", 0, 0, 3), Span("t", 0, 3, 5), Span("t", 0, 6, 7), Span("t", 0, 0, 3)]
    )


def test_a_batch_is_full_before_it_is_large() -> None:
    batch, value = Batch("positions", 0, 0, None), record("positions")
    while not batch.is_full:
        batch.add(batch.records, value)

    assert ROWS_MAX == batch.records
    many = Batch("settlements", 0, 0, None)
    (leg,) = schema_of("settlements")["examples"][2]["legs"]
    while not many.is_full:
        many.add(many.records, record("settlements", 2, legs=[{**leg, "counterparty": "a" * 100_000}] * 10))
    assert many.records < 20


def test_progress_as_a_record() -> None:
    archived = Archived("transfers", 3, 77, 70)

    assert archived == decode_archived(encode_archived(archived))
    for broken in (b"", b"{}", b'{"v":2}', b"[]"):
        with pytest.raises((KeyError, TypeError, ValueError)):
            decode_archived(broken)
