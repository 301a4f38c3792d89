"""What the hub keeps in its tables: values with a fixed order of fields, to which later releases only add."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A value that is stored: an immutable struct, written as its fields in their order (tables/codec.py).

    A later release adds fields at the end, each with a default, and never removes or moves one. `later` holds, still
    encoded, the fields that a later release has added; they are written back as they came.

    Subclasses repeat `frozen` and `array_like`. Copy with a change by `msgspec.structs.replace`.
    """

    later: tuple[msgspec.Raw, ...] = ()
