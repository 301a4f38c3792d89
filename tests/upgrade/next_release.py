"""The release after this one, made of a copy of the code: rows and messages have a field more, and there is a level 2.

It takes the place of a real next release until there is one: `make upgrade` rolls the hub to it and back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

NEXT_RELEASE: Final = "1.2.0"
ADDED: Final = "written by the next release"


class Change(NamedTuple):
    """A text to be replaced in a file; it must be there exactly once."""

    path: str
    old: str
    new: str


CHANGES: Final = (
    Change(
        "clearinghub/features.py",
        '"all rows and messages of release 1.0.0"),)',
        f'"all rows and messages of release 1.0.0"), FeatureLevel(2, "{NEXT_RELEASE}", "nothing yet"))',
    ),
    # A field of the transfer's row that has a value of its own in each row.
    Change(
        "agents/posting.py",
        "    view.put(TRANSFERS, transfer.transfer_id, transfer)",
        "    view.put(TRANSFERS, transfer.transfer_id, replace(transfer, added=transfer.transfer_id))",
    ),
    # A field of the account's row that counts only what the next release does.
    Change(
        "clearinghub/domain/participants/position.py",
        "            self, value=self.value + change, change_number=self.change_number + 1, changed_at_ms=now_ms\n",
        "            self, value=self.value + change, change_number=self.change_number + 1, changed_at_ms=now_ms,\n"
        "            added=self.added + 1,\n",
    ),
)
# The class, and the field that it gets at its end.
FIELDS: Final = (
    ("clearinghub/domain/transfers/transfer.py", "Transfer", 'added: str = ""'),
    ("clearinghub/domain/participants/position.py", "Position", "added: int = 0"),
    ("clearinghub/messages/transfers.py", "PrepareMessage", f'added: str = "{ADDED}"'),
    ("clearinghub/messages/transfers.py", "FulfilMessage", f'added: str = "{ADDED}"'),
    ("clearinghub/messages/transfers.py", "CreditMessage", f'added: str = "{ADDED}"'),
    ("clearinghub/messages/callbacks.py", "NotificationMessage", f'added: str = "{ADDED}"'),
)
_VERSION: Final = re.compile(r'^__version__ = ".*"$', re.MULTILINE)


class NotMadeError(Exception):
    """A text that is to be replaced is not in the code; the sentence says which."""


def make_next_release(folder: Path) -> None:
    """Change a copy of the code in place.

    Raises:
        NotMadeError: the code has changed, and this file has not followed.
    """
    for change in CHANGES:
        _edit(folder / change.path, change.old, change.new)
    for path, name, field in FIELDS:
        _add_field(folder / path, name, field)
    version = folder / "clearinghub/__init__.py"
    version.write_text(_VERSION.sub(f'__version__ = "{NEXT_RELEASE}"', version.read_text()))


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise NotMadeError(
            f"{path.name} has {text.count(old)} times {old!r}: tests/upgrade/next_release.py is outdated"
        )
    path.write_text(text.replace(old, new))


def _add_field(path: Path, name: str, field: str) -> None:
    """Add a field after the last one of a class: after the last line of its body that begins with a field's name."""
    lines = path.read_text().splitlines()
    begin = next((at for at, line in enumerate(lines) if line.startswith(f"class {name}(")), None)
    if begin is None:
        raise NotMadeError(f"{path.name} has no class {name}: tests/upgrade/next_release.py is outdated")
    end = next((at for at, line in enumerate(lines) if at > begin and line and not line.startswith(" ")), len(lines))
    last = max(at for at in range(begin, end) if re.match(r"    [a-z_]+: ", lines[at]))
    path.write_text("\n".join([*lines[: last + 1], f"    {field}", *lines[last + 1 :]]) + "\n")
