"""What is missing is said, with what to do about it, before anything starts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.conformance.kit import SCRIPTS, KitError, digest_of, kit_source, require_free_ports, require_tools
from tests.conformance.run import EXIT_CANNOT_RUN, main


def kit_in(folder: Path) -> Path:
    for name in SCRIPTS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return folder


def test_a_missing_kit_is_a_clear_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONFORMANCE_KIT", str(tmp_path / "nowhere"))

    assert EXIT_CANNOT_RUN == main(["--out", str(tmp_path / "out")])
    said = " ".join(capsys.readouterr().out.split())
    assert f"No conformance kit in {tmp_path / 'nowhere'}" in said
    assert "Set CONFORMANCE_KIT" in said
    assert not (tmp_path / "out").exists()


def test_the_kit_is_where_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_KIT", str(kit_in(tmp_path)))

    assert tmp_path.resolve() == kit_source()


@pytest.mark.skipif(os.geteuid() == 0, reason="root would install it")
def test_a_missing_tool_is_named_with_its_package() -> None:
    with pytest.raises(KitError, match=r"Missing: no-such-tool\. .*apt-get install some-package"):
        require_tools({"no-such-tool": "some-package"})


def test_another_kit_is_another_copy(tmp_path: Path) -> None:
    kit = kit_in(tmp_path)
    before = digest_of(kit)
    (kit / "node_modules").mkdir()
    (kit / "node_modules" / "some.js").write_text("1")

    assert before == digest_of(kit)
    (kit / "acceptance.json").write_text("[]")
    assert before != digest_of(kit)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (tmp_path / "ports.env").write_text(f"# ports\nTTK_FSP_PORT={port}   # the toolkit\n")

        with pytest.raises(KitError, match=rf"another program has them: {port}\."):
            require_free_ports(tmp_path)
    require_free_ports(tmp_path)
