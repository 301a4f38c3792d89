"""What keeps a benchmark from giving figures."""

from __future__ import annotations


class BenchError(Exception):
    """No figures can be taken; the sentence says why, and what to do."""
