"""A copy's folder: what was written is read again, and what is damaged, unfinished or of a later format is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clearinghub.copies import CopyError
from clearinghub.copies.folder import FORMAT, MANIFEST, CopiedPartition, Copy, CopyWriter, Manifest
from clearinghub.copies.in_flight import MessageInFlight
from clearinghub.copies.row_store import DiskRowStore, StoredRow

ROWS = [StoredRow("positions", b"a/XTS/POSITION", b"[1]"), StoredRow("transfers", b"t1", b"[2]")]
MESSAGES = [MessageInFlight(1, 0, "credit", 4, b"a", b"{}\n")]


def written(folder: Path, file_format: int = FORMAT) -> Path:
    writer = CopyWriter(folder)
    rows, counts = writer.write_rows(0, ROWS)
    messages = writer.write_messages(0, MESSAGES)
    partition = CopiedPartition(0, "2026-11-30T00:00:00Z", dict(counts), 1, {"prepare": 3}, {}, 2, (rows, messages))
    writer.finish(Manifest(file_format, "1.0.0", 1, 0, "Hub", "hub", "", "2026-11-30T00:00:00Z", {}, (partition,)))
    return folder


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    copy = Copy.open(written(tmp_path / "copy"))

    assert ROWS == list(copy.rows(0))
    assert MESSAGES == list(copy.messages(0))
    assert {"positions": 1, "transfers": 1} == dict(copy.manifest.rows())
    assert [b"t1"] == copy.keys("transfers").to_pylist()


@pytest.mark.parametrize("name", ["rows-0000.parquet", "messages-0000.parquet"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "copy") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(CopyError, match=f"{name} is missing or damaged"):
        Copy.open(path.parent)


def test_a_lost_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "copy")
    (folder / "rows-0000.parquet").unlink()

    with pytest.raises(CopyError, match="is missing or damaged"):
        Copy.open(folder)


def test_without_a_manifest_there_is_no_copy(tmp_path: Path) -> None:
    folder = written(tmp_path / "copy")
    (folder / MANIFEST).unlink()

    with pytest.raises(CopyError, match="has no copy"):
        Copy.open(folder)


def test_a_later_format_names_its_release(tmp_path: Path) -> None:
    with pytest.raises(CopyError, match=f"format {FORMAT + 1}, made by release 1.0.0"):
        Copy.open(written(tmp_path / "copy", FORMAT + 1))


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")

    with pytest.raises(CopyError, match="is not empty"):
        CopyWriter(tmp_path)
    assert "mine" == (tmp_path / "letter.txt").read_text()


def test_a_manifest_of_this_format_reads_for_good(tmp_path: Path) -> None:
    """The manifest of format 1 as release 1.0.0 wrote it: later fields need defaults."""
    text = (
        b'{"format":1,"release":"1.0.0","row_format":1,"feature_level":0,"hub_name":"Hub","application_id":"hub",'
        b'"topic_prefix":"","made_at":"2026-11-30T00:00:00Z","balances":{"USD":0},"partitions":[{"partition":0,'
        b'"cut_at":"2026-11-30T00:00:00Z","rows":{"transfers":1},"messages":0,"decided":{"prepare":3},'
        b'"outputs":{"transfers":2},"last_final_state":2,"files":[{"name":"rows-0000.parquet","sha256":"00",'
        b'"bytes":4}]}]}'
    )

    assert 2 == msgspec.json.decode(text, type=Manifest).partitions[0].last_final_state


def test_the_disk_store_has_the_last_row_of_each_key_in_order(tmp_path: Path) -> None:
    store = DiskRowStore(tmp_path / "store")
    store.apply("transfers", [(b"b", b"1"), (b"a", b"1")])
    store.apply("positions", [(b"z", b"1")])
    store.apply("transfers", [(b"b", b"2"), (b"c", b"1"), (b"a", None)])

    assert [("positions", b"z", b"1"), ("transfers", b"b", b"2"), ("transfers", b"c", b"1")] == list(store.rows())
    store.close()
    assert not (tmp_path / "store").exists()
