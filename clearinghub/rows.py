"""Rows: the values that the hub keeps in its tables, and the one codec that turns them into bytes.

A row is written as a JSON array that a person can read in a changelog. The first element is the number of fields that
the writer knew; the fields follow in their order. A reader fills fields that an older writer did not know with their
defaults, and keeps the fields of a newer writer (`Row.later`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

ROW_FORMAT: Final = 1  # raised only by a release that cannot read the rows of the release before

_ENCODER: Final = msgspec.json.Encoder()
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NONE_LATER: Final = b",[]]"  # the end of an encoded struct whose last field, `later`, is empty


class Row(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A value that is stored: an immutable struct.

    A later release adds fields at the end, each with a default, and never removes or moves a field. `later` holds,
    still encoded, the fields that a later release has added; they are written back unchanged.

    Subclasses repeat `frozen` and `array_like`. Copy with a change by `msgspec.structs.replace`.
    """

    later: tuple[msgspec.Raw, ...] = ()


AnyRow = TypeVar("AnyRow", bound=Row)


def encode_row(row: Row) -> bytes:
    width = len(row.__struct_fields__) - 1 + len(row.later)
    encoded = _ENCODER.encode(row)
    if not row.later:
        assert encoded.endswith(_NONE_LATER)
        return b"[%d,%b]" % (width, encoded[1 : -len(_NONE_LATER)])
    later = _ENCODER.encode(row.later)
    known = encoded[1 : -len(later) - 2]  # without the comma before `later` and the closing bracket
    return b"[%d,%b,%b]" % (width, known, later[1:-1])


def make_row_decoder(row_type: type[AnyRow]) -> Callable[[bytes], AnyRow]:
    """Return the function that reads the bytes of one type of row.

    It raises msgspec.MsgspecError or ValueError for bytes that are no such row.
    """
    decoder = msgspec.json.Decoder(row_type)
    known_width = len(row_type.__struct_fields__) - 1

    def decode(data: bytes) -> AnyRow:
        width, _, fields = data[1:-1].partition(b",")
        if int(width) <= known_width:
            return decoder.decode(b"[%b]" % fields)
        elements = _ELEMENTS.decode(b"[%b]" % fields)
        row = decoder.decode(b"[%b]" % b",".join(map(bytes, elements[:known_width])))
        return msgspec.structs.replace(row, later=tuple(elements[known_width:]))

    return decode


def kept_later(before: Any, row: Any) -> Any:
    """Return the row that takes the place of `before`, with the fields of a later release that `before` had.

    A handler that builds a row anew instead of copying it does not know of them. What is no row, such as a number or
    None, is returned unchanged.
    """
    if isinstance(before, Row) and before.later and isinstance(row, Row) and not row.later:
        return msgspec.structs.replace(row, later=before.later)
    return row
