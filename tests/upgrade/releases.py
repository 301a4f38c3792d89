"""Checkouts of two releases, side by side in a scratch folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tests.integration.hub_under_test import REPOSITORY
from tests.upgrade.next_release import make_next_release

GOLDEN: Final = "tests/golden"


class CheckoutError(Exception):
    """A release cannot be checked out, or its code does not run; the sentence says why."""


class Checkout(NamedTuple):
    """A release's code in a folder of its own."""

    name: str
    folder: Path
    release: str


def check_out(reference: str, folder: Path) -> Checkout:
    """Check a commit or tag out.

    Raises:
        CheckoutError: there is no such commit, or its code does not run.
    """
    _run("git", "worktree", "add", "--quiet", "--detach", str(folder), reference, at=REPOSITORY)
    return Checkout(reference, folder, _release_of(folder))


def check_out_next(reference: str, folder: Path) -> Checkout:
    """Check a commit out and make the next release of it.

    Raises:
        CheckoutError: there is no such commit, or the code does not run.
        NotMadeError: the code has changed, and tests/upgrade/next_release.py has not followed.
    """
    _run("git", "worktree", "add", "--quiet", "--detach", str(folder), reference, at=REPOSITORY)
    make_next_release(folder)
    return Checkout(f"{reference} with a field more", folder, _release_of(folder))


def remove(checkout: Checkout) -> None:
    """Remove a checkout, with all that was changed in it."""
    _run("git", "worktree", "remove", "--force", str(checkout.folder), at=REPOSITORY)


def golden_faults(older: Checkout, newer: Checkout, tell: Callable[[str], None]) -> list[str]:
    """Return what one of two releases cannot read of the golden files of the other."""
    for checkout in (older, newer):
        if not (checkout.folder / GOLDEN / checkout.release).is_dir():
            tell(f"making the golden files of {checkout.release}")
            _run(sys.executable, "-m", "tests.golden.make", at=checkout.folder)
    return [
        *_unread(newer, older.folder / GOLDEN / older.release),
        *_unread(older, newer.folder / GOLDEN / newer.release, "--newer"),
    ]


def _unread(reader: Checkout, written: Path, *options: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden.reading", str(written), *options],
        cwd=reader.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [f"{reader.release} reads {written.name}: {line}" for line in done.stdout.splitlines()]
    return lines if not done.returncode or lines else [f"{reader.release} reads {written.name}: {done.stderr[-500:]}"]


def _release_of(folder: Path) -> str:
    return _run(sys.executable, "-m", "clearinghub", "--version", at=folder).strip()


def _run(*command: str, at: Path) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckoutError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
