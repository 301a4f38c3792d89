"""Moved to clearinghub/ports.py."""

from clearinghub.ports import *  # noqa: F403
