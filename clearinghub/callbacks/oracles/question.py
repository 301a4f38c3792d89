"""One question to an oracle, as it stands on topic `oracle`, and the record that its answer becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from clearinghub.callbacks.headers import NOT_FORWARDED
from clearinghub.messages import VERSION, MalformedMessageError, decode_fields, encode
from clearinghub.messages.parties import OracleAnswerMessage

KIND: Final = "oracle"
_TEXTS: Final = ("step", "method", "url", "reply_key")
# What stood under the signature was another message, and these two name that one.
_NOT_PASSED: Final = NOT_FORWARDED | {"fspiop-signature", "fspiop-uri", "fspiop-http-method", "accept-encoding"}
_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")


@dataclass(frozen=True, slots=True)
class OracleAnswer:
    """An HTTP status with its body; None when there was no answer in time."""

    status: int | None
    body: bytes = b""


NO_ANSWER: Final = OracleAnswer(None)


@dataclass(frozen=True, slots=True)
class OracleQuestion:
    """The fields are those of `party_messages.OracleMessage`."""

    oracle_id: int
    step: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    reply_key: str
    asked: Mapping[str, Any]

    @classmethod
    def parse(cls, value: bytes) -> OracleQuestion:
        """The question in a record's value.

        Raises:
            MalformedMessageError: the value is no question of this version.
        """
        line, body = decode_fields(value)
        oracle_id, headers, asked = line.get("oracle"), line.get("headers"), line.get("asked")
        texts = [line.get(name) for name in _TEXTS]
        if line.get("kind") != KIND or not isinstance(oracle_id, int) or not isinstance(asked, dict):
            raise MalformedMessageError("no question to an oracle")
        if not isinstance(headers, dict) or not all(isinstance(text, str) for text in (*texts, *headers.values())):
            raise MalformedMessageError("a field of the question is no text")
        step, method, url, reply_key = map(str, texts)
        return cls(oracle_id, step, method, url, _passed(headers), body, reply_key, asked)

    def answered(self, answer: OracleAnswer) -> bytes:
        """The value of the answer's record, on topic `party`."""
        line: OracleAnswerMessage = {
            "v": VERSION,
            "kind": "oracle-answer",
            "step": self.step,
            "status": answer.status,
            "asked": dict(self.asked),
        }
        return encode(line, answer.body)


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    """The requester's headers as the oracle gets them: its resource is `participants`, whatever the hub was asked."""
    passed = {
        name: value
        for name, value in headers.items()
        if name not in _NOT_PASSED and _NAME.match(name) and not _VALUE.search(value)
    }
    for name in ("accept", "content-type"):
        if name in passed:
            passed[name] = passed[name].replace(".parties+json", ".participants+json")
    return passed
