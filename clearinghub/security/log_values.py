"""What logs may say of people: nothing that names them, and enough to see that two lines are about the same party.

The identifier of a party, such as a phone number, is in the paths of /parties and /participants, and so in the subjects
of callbacks about it.
"""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b
from typing import Final

_OF_PARTIES: Final = frozenset({"parties", "participants"})
_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-HJKMNP-TV-Z]{26}")  # UUID or ULID
_TYPE: Final = re.compile(r"[A-Z_]{1,32}")
_ERROR: Final = "/error"
# Of this process alone: nobody can compute the hashes of all phone numbers and look a log up in them.
_KEY: Final = secrets.token_bytes(32)
_HASH_BYTES: Final = 8


def without_persons(path: str) -> str:
    """Return a path of the FSPIOP API as logs show it, e.g. `/parties/MSISDN/#5f2b90c1d3a4e8f7/error`.

    The first segment, ids and types of parties are shown, all else is a hash. It is the same for the same text in all
    log lines of this process, and another one in other processes.
    """
    shown, ending = (path.removesuffix(_ERROR), _ERROR) if path.endswith(_ERROR) else (path, "")
    resource, _, rest = shown.removeprefix("/").partition("/")
    second, _, others = rest.partition("/")
    of_parties = resource.lower() in _OF_PARTIES
    if _ID.fullmatch(second) or (of_parties and _TYPE.fullmatch(second)):
        shown, hidden = f"/{resource}/{second}", others
    else:
        shown, hidden = f"/{resource}", rest
    return f"{shown}/#{_hashed(hidden)}{ending}" if hidden else shown + ending


def _hashed(text: str) -> str:
    return blake2b(text.encode(errors="backslashreplace"), digest_size=_HASH_BYTES, key=_KEY).hexdigest()
