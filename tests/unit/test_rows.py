"""The codec of rows: what an older and a newer release wrote is read, and kept."""

from __future__ import annotations

import msgspec
import pytest

from clearinghub.engine.record import row_table
from clearinghub.rows import Row, encode_row, make_row_decoder
from tests.fakes import MemoryView


class Old(Row, frozen=True, array_like=True):
    name: str
    amount: int


class New(Row, frozen=True, array_like=True):
    name: str
    amount: int
    note: str | None = None
    tags: tuple[str, ...] = ()


decode_old, decode_new = make_row_decoder(Old), make_row_decoder(New)


def test_a_row_is_its_width_and_its_fields() -> None:
    assert b'[2,"a",5]' == encode_row(Old("a", 5))
    assert Old("a", 5) == decode_old(b'[2,"a",5]')


def test_a_newer_reader_fills_what_an_older_writer_did_not_know() -> None:
    assert New("a", 5, None, ()) == decode_new(encode_row(Old("a", 5)))


def test_an_older_reader_keeps_what_it_does_not_know() -> None:
    written = encode_row(New("a", 5, "paid, [late]", ("x", "y")))

    changed = msgspec.structs.replace(decode_old(written), amount=6)

    assert New("a", 6, "paid, [late]", ("x", "y")) == decode_new(encode_row(changed))


def test_a_row_passes_through_an_older_worker_unchanged() -> None:
    written = encode_row(New("a", 5, "n", ("x",)))

    assert written == encode_row(decode_old(written))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'["a",5]', b'[2,"a"]', b'[2,"a","b"]', b'[1,"a",5', b"null"])
def test_what_is_no_row_is_refused(data: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        decode_old(data)


def test_a_row_that_is_built_anew_keeps_what_its_reader_does_not_know() -> None:
    view = MemoryView()
    view.tables["t"] = {"k": encode_row(New("a", 5, "n", ("x",)))}

    view.put(row_table("t", Old), "k", Old("a", 6))

    assert New("a", 6, "n", ("x",)) == view.get(row_table("t", New), "k")


def test_what_a_later_release_wrote_is_gone_with_its_row() -> None:
    view, table = MemoryView(), row_table("t", Old)
    view.tables["t"] = {"k": encode_row(New("a", 5, "n", ("x",)))}

    view.delete(table, "k")
    view.put(table, "k", Old("b", 1))

    assert Old("b", 1) == view.get(table, "k")
