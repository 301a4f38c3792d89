"""The folder of public keys: read at the start, checked again at intervals, strict with its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from clearinghub.security.key_directory import KeyDirectory
from clearinghub.security.key_files import JoseKey, KeyFileError, PublicKey
from tests.unit.security.samples import ec_key, pem_of, rsa_key
from tests.unit.security.test_key_files import END, START, certificate

INTERVAL_MS = 1_000


@dataclass
class Clock:
    """A clock that moves only when a test moves it."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s

    def later(self, seconds: float = 1.0) -> None:
        self.now_s += seconds


@dataclass
class Kept:
    """A folder, its directory of keys and the clocks."""

    folder: Path
    keys: KeyDirectory
    monotonic: Clock
    clock: Clock

    def write(self, name: str, content: bytes) -> None:
        """As a careful operator does: the new file takes the old one's place in one step."""
        new = self.folder / f".{name}.new"
        new.write_bytes(content)
        new.replace(self.folder / f"{name}.pem")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    (tmp_path / "payerfsp.pem").write_bytes(pem_of(rsa_key()))
    monotonic, clock = Clock(), Clock(START.timestamp() + 1)
    keys = KeyDirectory(tmp_path, INTERVAL_MS, monotonic_s=monotonic, clock_s=clock)
    return Kept(tmp_path, keys, monotonic, clock)


def only(keys: Sequence[JoseKey]) -> PublicKey:
    [key] = keys
    return key.public_key


def test_the_files_name_is_the_participants(kept: Kept) -> None:
    assert rsa_key().public_key() == only(kept.keys.of("payerfsp"))
    assert not kept.keys.of("PAYERFSP")
    assert not kept.keys.of("payerfsp.pem")
    assert not kept.keys.of("../payerfsp")
    assert not kept.keys.of("")


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("payerfsp.key", ".hidden.pem", ".pem", "README", "..data"):
        (tmp_path / name).write_bytes(b"whatever")

    with capture_logs() as logs:
        keys = KeyDirectory(tmp_path, INTERVAL_MS)

    assert ["jws-no-keys"] == [entry["event"] for entry in logs]
    assert not keys.of(".hidden")


def test_a_changed_file_counts_after_the_interval(kept: Kept) -> None:
    kept.write("payerfsp", pem_of(rsa_key(1)))
    kept.monotonic.later(0.9)
    assert rsa_key().public_key() == only(kept.keys.of("payerfsp"))

    kept.monotonic.later(0.1)
    with capture_logs() as logs:
        assert rsa_key(1).public_key() == only(kept.keys.of("payerfsp"))

    assert [("jws-keys-changed", ["payerfsp"])] == [(entry["event"], entry["participants"]) for entry in logs]


def test_a_new_file_and_one_that_goes(kept: Kept) -> None:
    kept.write("payeefsp", pem_of(ec_key()))
    (kept.folder / "payerfsp.pem").unlink()
    kept.monotonic.later()

    assert ec_key().public_key() == only(kept.keys.of("payeefsp"))
    assert not kept.keys.of("payerfsp")


def test_a_link_that_is_made_to_point_elsewhere(kept: Kept) -> None:
    """As Kubernetes changes a mounted secret: the file is a link into a folder that is swapped."""
    for number in (0, 1):
        (kept.folder / f"..{number}").mkdir()
        (kept.folder / f"..{number}/linked.pem").write_bytes(pem_of(ec_key(number)))
    (kept.folder / "..data").symlink_to("..0")
    (kept.folder / "linked.pem").symlink_to("..data/linked.pem")
    kept.monotonic.later()
    assert ec_key(0).public_key() == only(kept.keys.of("linked"))

    (kept.folder / "..new").symlink_to("..1")
    (kept.folder / "..new").replace(kept.folder / "..data")
    kept.monotonic.later()
    assert ec_key(1).public_key() == only(kept.keys.of("linked"))


def test_a_file_put_back_with_its_old_time_and_size(kept: Kept) -> None:
    path = kept.folder / "payerfsp.pem"
    before = path.stat()
    path.write_bytes(pem_of(rsa_key(1)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    kept.monotonic.later()

    assert rsa_key(1).public_key() == only(kept.keys.of("payerfsp"))


def test_a_file_that_breaks_takes_its_key_with_it_and_no_other(kept: Kept) -> None:
    kept.write("payeefsp", pem_of(ec_key()))
    kept.write("payerfsp", b"half a k")
    kept.monotonic.later()

    with capture_logs() as logs:
        assert not kept.keys.of("payerfsp")
    assert ec_key().public_key() == only(kept.keys.of("payeefsp"))
    assert ["jws-key-unusable", "jws-keys-changed"] == [entry["event"] for entry in logs]

    kept.monotonic.later()
    with capture_logs() as logs:
        kept.keys.of("payerfsp")
    assert [] == logs, "said once"

    kept.write("payerfsp", pem_of(rsa_key()))
    kept.monotonic.later()
    assert rsa_key().public_key() == only(kept.keys.of("payerfsp"))


def test_without_its_folder_everything_stays_as_it_was(kept: Kept) -> None:
    kept.folder.rename(kept.folder.with_name("moved"))
    kept.monotonic.later()

    with capture_logs() as logs:
        assert rsa_key().public_key() == only(kept.keys.of("payerfsp"))

    assert ["jws-keys-not-looked-at"] == [entry["event"] for entry in logs]


def test_a_certificate_counts_within_its_dates(kept: Kept) -> None:
    kept.write("payerfsp", certificate(rsa_key()))
    kept.monotonic.later()
    assert rsa_key().public_key() == only(kept.keys.of("payerfsp"))

    kept.clock.now_s = END.timestamp() + 1
    assert not kept.keys.of("payerfsp")
    kept.clock.now_s = START.timestamp() - 1
    assert not kept.keys.of("payerfsp")


def test_at_the_start_a_bad_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "payerfsp.pem").write_bytes(b"nonsense")

    with pytest.raises(KeyFileError, match=r"payerfsp\.pem: no PEM public key"):
        KeyDirectory(tmp_path, INTERVAL_MS)


def test_at_the_start_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="nowhere: No such file or directory"):
        KeyDirectory(tmp_path / "nowhere", INTERVAL_MS)
