"""`clearinghub archive`: the analysts' topics as Parquet files, each record exactly once (docs/archive.md, ADR 20).

An archive stops with an ArchiveError, whose sentence is for the operator.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive stops; what it has is whole, and it continues from there once the cause is removed."""


class FolderError(ArchiveError):
    """The folder cannot be written, is in use, is damaged, or holds the archive of another hub."""


class LostRecordsError(ArchiveError):
    """The topic has dropped records before they were archived, or is not the topic that was archived so far."""


class UnreadableRecordError(ArchiveError):
    """A record that this version does not understand; it must not be left out."""
