"""What can be wrong with a key; here by itself, so that the command line knows it without loading the cryptography."""

from __future__ import annotations


class KeyFileError(Exception):
    """A key cannot be used; the sentence names the file and says why, and never shows what is in it."""
