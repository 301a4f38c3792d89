"""The participants' public keys: a folder of `NAME.pem`, looked at again while the hub runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from clearinghub.security.algorithms import PublicKey
from clearinghub.security.errors import KeyFileError
from clearinghub.security.key_files import ParticipantKey, read_public_keys

SUFFIX: Final = ".pem"
FILES_MAX: Final = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was read; the stamp changes with its content, also when a link is made to point elsewhere."""

    stamp: tuple[int, ...]
    keys: tuple[ParticipantKey, ...]


class KeyDirectory:
    """`PublicKeys` from files. The name in front of `.pem` is the participant's, case and all.

    The folder is looked at when a key is asked for, but not more often than the interval. A file that has gone, or that
    cannot be read any more, takes its keys with it: what an operator has withdrawn must not count. Only when the whole
    folder cannot be looked at, everything stays as it was. No file name ever comes from a request.
    """

    def __init__(
        self,
        folder: Path,
        interval_ms: int,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Read everything.

        Args:
            folder: where the files are.
            interval_ms: how old what is known may be.
            monotonic_s: seconds that never jump, for the interval.
            clock_s: seconds since 1970, for certificates' dates.

        Raises:
            KeyFileError: the folder or one of its files cannot be used.
        """
        self._folder = folder
        self._interval_s = interval_ms / 1000
        self._monotonic_s = monotonic_s
        self._clock_s = clock_s
        try:
            stamps = self._stamps()
        except OSError as error:
            raise KeyFileError(f"{folder}: {error.strerror}") from error
        self._files = {name: _File(stamp, read_public_keys(self._path(name))) for name, stamp in stamps.items()}
        self._look_at_s = monotonic_s() + self._interval_s
        if not self._files:
            _log.warning("jws-no-keys", folder=str(folder))

    def of(self, name: str) -> Sequence[PublicKey]:
        """See `PublicKeys.of`."""
        now_s = self._monotonic_s()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + self._interval_s
            self._look_again()
        file = self._files.get(name)
        if file is None:
            return ()
        clock_s = self._clock_s()
        return [key.public_key for key in file.keys if key.valid_from_s <= clock_s <= key.valid_until_s]

    def _look_again(self) -> None:
        try:
            stamps = self._stamps()
        except (OSError, KeyFileError) as error:
            _log.error("jws-keys-not-looked-at", folder=str(self._folder), error=str(error))
            return
        files = {}
        for name, stamp in stamps.items():
            known = self._files.get(name)
            files[name] = known if known is not None and known.stamp == stamp else self._read(name, stamp)
        changed = sorted(name for name in {*files, *self._files} if files.get(name) != self._files.get(name))
        self._files = files
        if changed:
            _log.info("jws-keys-changed", participants=changed)

    def _read(self, name: str, stamp: tuple[int, ...]) -> _File:
        try:
            return _File(stamp, read_public_keys(self._path(name)))
        except KeyFileError as error:
            _log.error("jws-key-unusable", participant=name, error=str(error))
            return _File(stamp, ())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _stamps(self) -> Mapping[str, tuple[int, ...]]:
        """Every file's participant and stamp. Raises OSError for the folder; a file that goes meanwhile is left out."""
        stamps = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name.removesuffix(SUFFIX)
                if name == entry.name or not name or name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                stamps[name] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
                if len(stamps) > FILES_MAX:
                    raise KeyFileError(f"{self._folder}: more than {FILES_MAX} keys")
        return stamps
