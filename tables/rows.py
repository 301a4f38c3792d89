"""How all rows become bytes: a JSON array that a person can read in a changelog.

The first element is the number of fields that the writer knew, the others are the fields in their order. A reader fills
fields that an older writer did not know with their defaults, and keeps the fields of a newer one (`Row.later`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from clearinghub.domain.row import Row
from clearinghub.engine.record import TableSpec

_ENCODER: Final = msgspec.json.Encoder()
_NONE_LATER: Final = b",[]]"  # how an encoded row ends whose `later`, its last field, is empty

AnyRow = TypeVar("AnyRow", bound=Row)


def row_table(
    name: str, row_type: type[AnyRow], index: Callable[[str, AnyRow], Iterable[tuple[bytes, bool]]] | None = None
) -> TableSpec[AnyRow]:
    """Return the declaration of a table whose rows are of one type; see `TableSpec` for `index`."""
    return TableSpec(name, encode_row, make_row_decoder(row_type), index)


def encode_row(row: Row) -> bytes:
    """Return a row's bytes."""
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


_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
