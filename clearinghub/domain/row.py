"""Moved to clearinghub/rows.py."""

from clearinghub.rows import Row

__all__ = ["Row"]
