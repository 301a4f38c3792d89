"""Copies of all partitions: made while the hub works, and restored to the same or to another number of partitions.

    clearinghub backup DIR    changelogs.py, history.py, cut.py, in_flight.py  ->  folder.py
    clearinghub restore DIR   folder.py  ->  regroup/, balance.py, writing.py

A copy is made from the topics alone: no process of the hub is stopped, slowed or needed (ADR 32).
"""

from __future__ import annotations


class CopyError(Exception):
    """A copy cannot be made, read or restored; the sentence says what is wrong and what to do."""
