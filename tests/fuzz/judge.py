"""Checks of the answers, and the list of those that failed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from schemathesis import CheckContext, GenerationMode, Response
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from tests.fuzz.cases import AnyCase

TIMEOUT_S = 40
SHOWN_MAX = 25
STATUS_BUG = 500
STATUS_NOT_IMPLEMENTED = 501

# Refusals that a request of the described shape must not get.
_OF_PARTIES = r"invalid fspiop-source header|Invalid (?:party (?:identifier|sub-id)|MSISDN|EMAIL|IBAN)"
_OF_THE_CALENDAR = r"There is no such day"  # the description has the form of a day, and 30 February too
_MALFORMED = re.compile(
    rf"(?!3101 Malformed syntax - (?:{_OF_PARTIES}|{_OF_THE_CALENDAR}))"
    r"310[123]\b|3100 Generic validation error - [/\"]|3001\b"
)
_TWICE = re.compile(r"3100 Generic validation error - \"settlementWindows\[[0-9]+\]\" contains a duplicate value")


def no_unexpected_server_error(_context: CheckContext, response: Response, case: AnyCase) -> None:
    """Allow 5xx only as described: 501 for PATCH, and refusals with 2001 that name a reason, as in the reference."""
    if response.status_code < STATUS_BUG or (case.method == "PATCH" and response.status_code == STATUS_NOT_IMPLEMENTED):
        return
    code, description = error_of(response)
    if response.status_code == STATUS_BUG and code == "2001" and " - " in description:
        return
    raise Failure(operation=case.operation.label, title="Server error", message=f"{response.status_code} {description}")


def described_is_understood(_context: CheckContext, response: Response, case: AnyCase) -> None:
    """Fail if a request that follows the description is refused for its form; it may be refused for its content."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or response.status_code < 400:
        return
    refusal = " ".join(error_of(response))
    if _MALFORMED.match(refusal) and not (_TWICE.match(refusal) and _names_a_window_twice(case.body)):
        raise Failure(operation=case.operation.label, title="Refused though described", message=refusal)


def _names_a_window_twice(body: Any) -> bool:
    """Whether a window is named twice: to the description, the number 1 and the text "1" are two items."""
    ids = [int(window["id"]) for window in body["settlementWindows"]]
    return len(set(ids)) < len(ids)


CHECKS = [
    no_unexpected_server_error,
    described_is_understood,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.missing_required_header,
]


def error_of(response: Response) -> tuple[str, str]:
    """Return the code and description of an error's body, or two empty texts for another body."""
    try:
        information = response.json()["errorInformation"]
        return information["errorCode"], information["errorDescription"]
    except (ValueError, KeyError, TypeError):
        return "", ""


@dataclass
class Judge:
    """Sends cases and checks the answers. Faults are kept by operation and title; the first is shown in full."""

    base_url: str
    sent_max: int
    sent: int = 0
    started_at: float = field(default_factory=time.monotonic)
    answers: Counter[str] = field(default_factory=Counter)
    faults: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.headers.clear()  # its own `Accept` would take the place of the case's

    def __str__(self) -> str:
        answers = ", ".join(f"{answer}: {number}" for answer, number in sorted(self.answers.items()))
        return f"{self.sent} requests in {time.monotonic() - self.started_at:.0f} s; {answers}"

    @property
    def is_done(self) -> bool:
        """Whether `sent_max` requests were sent."""
        return self.sent >= self.sent_max

    def send(self, case: AnyCase) -> Response | None:
        """Send a case; return None if no client can send it, or there was no answer."""
        try:
            response = case.call(self.base_url, self.session, headers=_headers(case), timeout=TIMEOUT_S)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return None
        except requests.exceptions.RequestException as error:
            self.sent += 1
            self.blame(case, "No answer", repr(error))
            return None
        self.sent += 1
        self.answers[f"{response.status_code} {error_of(response)[0]}".rstrip()] += 1
        for failure in self._failures(case, response):
            self.blame(case, failure.title, f"{response.status_code} {response.text[:300]}\n{failure.message}")
        return response

    def blame(self, case: AnyCase, title: str, text: str) -> None:
        """Note a fault of a case."""
        mode = case.meta.generation.mode.name if case.meta is not None else "?"
        self.faults.setdefault((case.operation.label, title), []).append(f"{mode} {_curl(case)}\n{text}")

    def must_have_no_faults(self) -> None:
        """Fail if there were faults, with the count and the first case of each kind."""
        shown = [
            f"{label}: {title}, {len(texts)} times\n{texts[0]}\n"
            for (label, title), texts in list(self.faults.items())[:SHOWN_MAX]
        ]
        if shown:
            pytest.fail("\n".join(shown), pytrace=False)

    @staticmethod
    def _failures(case: AnyCase, response: Response) -> Iterator[Failure]:
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            yield from (one for one in group.exceptions if isinstance(one, Failure))
        except Failure as failure:
            yield failure


def _headers(case: AnyCase) -> dict[str, Any]:
    """Suppress the `Accept: */*` that the library adds and FSPIOP refuses."""
    return {} if "accept" in {name.lower() for name in case.headers or {}} else {"Accept": None}


def _curl(case: AnyCase) -> str:
    try:
        return case.as_curl_command()[:1500]
    except Exception as error:  # noqa: BLE001 - a request that cannot be shown must not hide its fault
        return f"{case.method} {case.path} ({error!r})"
