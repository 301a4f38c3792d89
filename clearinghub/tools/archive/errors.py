"""Why an archive cannot go on. Each says so in one sentence for the operator.

ArchiveError
    FolderError              the folder cannot be used, is damaged, or is another hub's
    LostRecordsError         records that should be copied next are not on their topic any more
    UnreadableRecordError    a record is not as its topic's page says
"""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive stops here; what it has is whole, and it goes on from there once the cause is removed."""


class FolderError(ArchiveError):
    """The folder cannot be written, is in use, is damaged, or holds the archive of another hub."""


class LostRecordsError(ArchiveError):
    """The topic has dropped records before they were archived, or is not the topic that was archived so far."""


class UnreadableRecordError(ArchiveError):
    """A record that this version does not understand; it must not be left out."""
