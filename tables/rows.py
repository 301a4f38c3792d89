"""Moved to clearinghub/rows.py and clearinghub/engine/record.py."""

from clearinghub.engine.record import row_table
from clearinghub.rows import encode_row, make_row_decoder

__all__ = ["encode_row", "make_row_decoder", "row_table"]
