"""What a log line looks like, and whose lines appear."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from clearinghub.config import Settings
from clearinghub.logs import QUIET_LIBRARIES, VALUE_LENGTH_MAX, set_up_logs


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, {name: logging.getLogger(name).level for name in QUIET_LIBRARIES})
    yield
    root.handlers, root.level = before[0], before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(instance="3"), "ledger")

    structlog.get_logger().info("round-committed", records=5)
    (line,) = lines(capsys)

    assert line.pop("timestamp")
    assert {"event": "round-committed", "level": "info", "records": 5, "role": "ledger", "instance": "3"} == line


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(), "ledger")

    try:
        raise ValueError("two\nlines")  # noqa: TRY301 - it is caught to be logged
    except ValueError:
        structlog.get_logger().exception("record-failed")
    (line,) = lines(capsys)

    assert "record-failed" == line["event"]
    assert "two\\nlines" in json.dumps(line["exception"])


def test_events_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_level="WARNING"), "ledger")

    structlog.get_logger().info("unseen")

    assert [] == lines(capsys)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_long_value_is_cut_and_a_sentence_is_not(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]
) -> None:
    set_up_logs(Settings(log_format=log_format), "ledger")

    structlog.get_logger().info("request-refused", path="p" * 100_000, remedy="r" * 300)
    said = capsys.readouterr().out

    assert "p" * VALUE_LENGTH_MAX in said
    assert "p" * (VALUE_LENGTH_MAX + 1) not in said
    assert "r" * 300 in said


def test_the_console_obeys_nothing_that_comes_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_format="console"), "ingress")
    log, evil = structlog.get_logger(), "\x1b[2J\x07\r\n\x7f\x9b\u2028\u202e\udcff"

    log.info("request-refused", path=evil)
    log.info(evil)
    logging.getLogger("aiohttp.server").warning("lost %s", evil)
    try:
        raise ValueError(evil)  # noqa: TRY301 - it is caught to be logged
    except ValueError:
        log.exception("request-failed")
    said = capsys.readouterr().out

    assert [] == [character for character in said if character != "\n" and not character.isprintable()]
    assert 4 == said.count("\\x1b[2J\\x07\\r")


def test_what_is_no_unicode_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(), "ingress")

    structlog.get_logger().info("request-refused", source="\udcff")
    (line,) = lines(capsys)

    assert "\udcff" == line["source"]


@pytest.mark.parametrize("library", QUIET_LIBRARIES)
def test_libraries_speak_from_warning_up_in_the_same_form(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_level="DEBUG"), "ledger")
    logger = logging.getLogger(f"{library}.part")

    logger.info("unseen")
    logger.warning("lost %s", "it")
    (line,) = lines(capsys)

    assert not logger.isEnabledFor(logging.DEBUG)
    assert ("lost it", "warning", f"{library}.part") == (line["event"], line["level"], line["logger"])


def test_the_console_form_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(Settings(log_format="console"), "ledger")

    structlog.get_logger().info("round-committed", records=5)

    assert "round-committed" in capsys.readouterr().out


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_stack_shows_no_variables(capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]) -> None:
    set_up_logs(Settings(log_format=log_format), "ledger")
    body = "a body that nobody may read"
    try:
        raise ValueError(len(body))  # noqa: TRY301 - it is caught to be logged
    except ValueError:
        structlog.get_logger().exception("record-raised")

    said = capsys.readouterr().out
    assert "ValueError" in said
    assert body not in said
