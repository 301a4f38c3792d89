"""What an answer must be, and the list of those that were not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import requests
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

TIMEOUT_S = 40
SHOWN_MAX = 25
STATUS_BUG = 500
STATUS_NOT_IMPLEMENTED = 501

# Refusals that a request of the described shape must not get.
_MALFORMED = re.compile(r"310[123]\b|3100 Generic validation error - [/\"]|3001\b")


def no_unexpected_server_error(_context: CheckContext, response: Response, case: Case) -> None:
    """5xx only where described: PATCH is not implemented, and the reference's refusals with 2001 name their reason."""
    if response.status_code < STATUS_BUG or (case.method == "PATCH" and response.status_code == STATUS_NOT_IMPLEMENTED):
        return
    code, description = error_of(response)
    if response.status_code == STATUS_BUG and code == "2001" and " - " in description:
        return
    raise Failure(operation=case.operation.label, title="Server error", message=f"{response.status_code} {description}")


def described_is_understood(_context: CheckContext, response: Response, case: Case) -> None:
    """A request as described may be refused for what it asks, but not for its form."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or response.status_code < 400:
        return
    if " ".join(error_of(response)).strip() and _MALFORMED.match(" ".join(error_of(response))):
        raise Failure(
            operation=case.operation.label, title="Refused though described", message=" ".join(error_of(response))
        )


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
    """Code and description of an error's body, or empty texts when it is none."""
    try:
        information = response.json()["errorInformation"]
        return information["errorCode"], information["errorDescription"]
    except (ValueError, KeyError, TypeError):
        return "", ""


@dataclass
class Judge:
    """Sends cases and judges the answers; faults of one kind are counted, and the first is kept whole."""

    base_url: str
    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    faults: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def send(self, case: Case) -> Response | None:
        """Send a case; None when no client could send it, or there was no answer."""
        try:
            response = case.call(base_url=self.base_url, session=self.session, timeout=TIMEOUT_S)
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return None
        except requests.exceptions.RequestException as error:
            self.sent += 1
            self.blame(case, "No answer", repr(error))
            return None
        self.sent += 1
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1
        for failure in self._failures(case, response):
            self.blame(case, failure.title, f"{response.status_code} {response.text[:300]}\n{failure.message}")
        return response

    def blame(self, case: Case, title: str, text: str) -> None:
        """Keep a fault."""
        mode = case.meta.generation.mode.name if case.meta is not None else "?"
        self.faults.setdefault((case.operation.label, title), []).append(f"{mode} {_curl(case)}\n{text}")

    def report(self) -> str:
        """All kinds of faults, each with its count and its first case; empty when there is none."""
        shown = [
            f"{label}: {title}, {len(texts)} times\n{texts[0]}\n"
            for (label, title), texts in list(self.faults.items())[:SHOWN_MAX]
        ]
        return "\n".join(shown)

    @staticmethod
    def _failures(case: Case, response: Response) -> Iterator[Failure]:
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            yield from (one for one in group.exceptions if isinstance(one, Failure))
        except Failure as failure:
            yield failure


def _curl(case: Case) -> str:
    try:
        return case.as_curl_command()[:1500]
    except Exception as error:  # noqa: BLE001 - a request that cannot be shown must not hide its fault
        return f"{case.method} {case.path} ({error!r})"
