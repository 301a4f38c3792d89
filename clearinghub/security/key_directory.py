"""The participants' public keys: a folder of `NAME.pem`, which is read again while the hub runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from clearinghub.security.key_files import JoseKey, KeyFileError, ParticipantKey, read_public_keys

SUFFIX: Final = ".pem"
FILES_MAX: Final = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """The keys of a file, and the file's version when it was read.

    The version changes with the content, also when a link is made to point to another file.
    """

    version: tuple[int, ...]
    keys: tuple[ParticipantKey, ...]


class KeyDirectory:
    """`PublicKeys` from files. The name before `.pem` is the participant's, and its case matters.

    The folder is checked for changes when a key is needed, but at most once an interval. If a file is removed, or can
    no longer be read, its keys are no longer valid: a key that an operator has withdrawn must not be used. If the whole
    folder cannot be read, the keys stay as they are. No file name ever comes from a request.
    """

    def __init__(
        self,
        folder: Path,
        interval_ms: int,
        *,
        monotonic_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Read all files.

        Args:
            folder: the folder of the files.
            interval_ms: how long to use the keys before the folder is checked again.
            monotonic_s: a clock that never jumps, for the interval.
            clock_s: the time in seconds since 1970, for certificates' dates.

        Raises:
            KeyFileError: the folder or one of its files cannot be used.
        """
        self._folder = folder
        self._interval_s = interval_ms / 1000
        self._monotonic_s = monotonic_s
        self._clock_s = clock_s
        try:
            versions = self._versions()
        except OSError as error:
            raise KeyFileError(f"{folder}: {error.strerror}") from error
        self._files = {name: _File(version, read_public_keys(self._path(name))) for name, version in versions.items()}
        self._check_at_s = monotonic_s() + self._interval_s
        if not self._files:
            _log.warning("jws-no-keys", folder=str(folder))

    def of(self, name: str) -> Sequence[JoseKey]:
        """Return the keys that are valid for a participant now; see `PublicKeys.of`."""
        now_s = self._monotonic_s()
        if now_s >= self._check_at_s:
            self._check_at_s = now_s + self._interval_s
            self._check_folder()
        file = self._files.get(name)
        if file is None:
            return ()
        clock_s = self._clock_s()
        return [key.key for key in file.keys if key.valid_from_s <= clock_s <= key.valid_until_s]

    def _check_folder(self) -> None:
        try:
            versions = self._versions()
        except (OSError, KeyFileError) as error:
            _log.error("jws-keys-not-looked-at", folder=str(self._folder), error=str(error))
            return
        files = {}
        for name, version in versions.items():
            known = self._files.get(name)
            files[name] = known if known is not None and known.version == version else self._read(name, version)
        changed = sorted(name for name in {*files, *self._files} if files.get(name) != self._files.get(name))
        self._files = files
        if changed:
            _log.info("jws-keys-changed", participants=changed)

    def _read(self, name: str, version: tuple[int, ...]) -> _File:
        try:
            return _File(version, read_public_keys(self._path(name)))
        except KeyFileError as error:
            _log.error("jws-key-unusable", participant=name, error=str(error))
            return _File(version, ())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _versions(self) -> Mapping[str, tuple[int, ...]]:
        """Return the version of each file by participant, without files that are removed meanwhile.

        Raises:
            OSError: the folder cannot be read.
            KeyFileError: there are too many files.
        """
        versions = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name.removesuffix(SUFFIX)
                if name == entry.name or not name or name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue
                versions[name] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
                if len(versions) > FILES_MAX:
                    raise KeyFileError(f"{self._folder}: more than {FILES_MAX} keys")
        return versions
