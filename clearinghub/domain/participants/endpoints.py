"""Endpoint types, which values a participant may register for them, and the URL of one callback.

A value is a Mustache template (protocol 5.4): `{{name}}`, `{{ name }}`, `{{{name}}}` and `{{& name}}` all insert the
variable, URL-quoted. The value of a type without variables is a base URL, to which the service path is appended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit

from clearinghub.domain.errors import ErrorCode, Rejection

VALUE_LENGTH_MAX: Final = 512
THIRD_PARTY_PREFIX: Final = "TP_CB_URL_"

_PREFIX: Final = "FSPIOP_CALLBACK_URL_"
_PARTY: Final = frozenset({"partyIdType", "partyIdentifier"})
_SUB_PARTY: Final = _PARTY | {"partySubIdOrType"}
_REQUEST: Final = frozenset({"requestId"})

_TEMPLATE_GROUPS: Final[tuple[tuple[tuple[str, ...], frozenset[str]], ...]] = (
    (("TRANSFER_POST", "TRANSFER_PUT", "TRANSFER_ERROR"), frozenset({"transferId"})),
    (("BULK_TRANSFER_POST", "BULK_TRANSFER_PUT", "BULK_TRANSFER_ERROR"), frozenset({"id"})),
    (("FX_TRANSFER_POST", "FX_TRANSFER_PUT", "FX_TRANSFER_ERROR"), frozenset({"commitRequestId"})),
    (("PARTIES_GET", "PARTIES_PUT", "PARTIES_PUT_ERROR"), _PARTY),
    (("PARTIES_SUB_ID_GET", "PARTIES_SUB_ID_PUT", "PARTIES_SUB_ID_PUT_ERROR"), _SUB_PARTY),
    (("PARTICIPANT_PUT", "PARTICIPANT_PUT_ERROR", "PARTICIPANT_DELETE"), _PARTY | _REQUEST),
    (
        ("PARTICIPANT_SUB_ID_PUT", "PARTICIPANT_SUB_ID_PUT_ERROR", "PARTICIPANT_SUB_ID_DELETE"),
        _SUB_PARTY | _REQUEST,
    ),
    (("PARTICIPANT_BATCH_PUT", "PARTICIPANT_BATCH_PUT_ERROR"), _REQUEST),
)

TEMPLATE_TYPES: Final[Mapping[str, frozenset[str]]] = {
    _PREFIX + name: variables for names, variables in _TEMPLATE_GROUPS for name in names
}
"""Endpoint types whose value is the whole URL, each with the variables that it may use."""

BASE_URL_TYPES: Final = frozenset(
    _PREFIX + name for name in ("QUOTES", "BULK_QUOTES", "FX_QUOTES", "TRX_REQ_SERVICE", "AUTHORIZATIONS")
)
"""Endpoint types whose value is a base URL; the service path follows it."""

ALARM_URL_TYPE: Final = "ALARM_NOTIFICATION_URL"
ALARM_TOPIC_TYPE: Final = "ALARM_NOTIFICATION_TOPIC"
EMAIL_TYPES: Final = frozenset(
    {
        "NET_DEBIT_CAP_THRESHOLD_BREACH_EMAIL",
        "NET_DEBIT_CAP_ADJUSTMENT_EMAIL",
        "SETTLEMENT_TRANSFER_POSITION_CHANGE_EMAIL",
    }
)

ENDPOINT_TYPES: Final = (
    frozenset(TEMPLATE_TYPES) | BASE_URL_TYPES | EMAIL_TYPES | frozenset({ALARM_URL_TYPE, ALARM_TOPIC_TYPE})
)
"""All endpoint types but those of third parties, which begin with `THIRD_PARTY_PREFIX`."""

_VARIABLE: Final = re.compile(r"\{\{(\{)?&?[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*(?(1)\}\}\}|\}\})")
_THIRD_PARTY_TYPE: Final = re.compile(THIRD_PARTY_PREFIX + r"[A-Z0-9_]{1,64}\Z")
_URL_CHARACTERS: Final = re.compile(r"[!-~]*\Z")  # printable ASCII without a blank
_PATH: Final = re.compile(r"/[!-~]*\Z")
_READY: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*\Z")  # a value that needs no quoting and is no dot segment
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_EMAIL: Final = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+\Z")


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Why a value cannot become a URL."""

    detail: str


@dataclass(frozen=True, slots=True)
class _Template:
    """The parts of a template, in turn: literal, variable, literal, ..., literal."""

    literals: tuple[str, ...]
    names: tuple[str, ...]


def is_endpoint_type(name: str) -> bool:
    """Return whether the type is one of protocol 5.4, with those of third parties."""
    return name in ENDPOINT_TYPES or _THIRD_PARTY_TYPE.match(name) is not None


def is_url_type(name: str) -> bool:
    """Return whether the value of a type is a URL to which the hub sends."""
    return name not in EMAIL_TYPES and name != ALARM_TOPIC_TYPE


def render_url(endpoint_type: str, value: str, variables: Mapping[str, str], path: str) -> str | Unrenderable:
    """Return the URL of one callback: the template with its variables, or the base URL with the service path."""
    if endpoint_type in BASE_URL_TYPES:
        if not _PATH.match(path):
            return Unrenderable("the service path is no URL path")
        return value.rstrip("/") + path
    template = _parse_template(value)
    if isinstance(template, Unrenderable):
        return template
    parts = [template.literals[0]]
    for name, literal in zip(template.names, template.literals[1:], strict=True):
        raw = variables.get(name)
        if raw is None:
            return Unrenderable(f"unknown variable {name}")
        if _READY.match(raw):
            parts.append(raw)
        elif raw in _NO_SEGMENTS or _SURROGATE.search(raw) is not None:
            return Unrenderable(f"variable {name} is no path segment")
        else:
            parts.append(quote(raw, safe=""))
        parts.append(literal)
    return "".join(parts)


def is_path_segment(text: str) -> bool:
    """Return whether a text may come in as one segment of a path. `render_url` can write all of these, and few others.

    An empty one and the dot segments would name another resource: the collection, or the parent. A control character
    is no part of any name, and half a surrogate pair has no encoding.
    """
    return text not in _NO_SEGMENTS and _SURROGATE.search(text) is None and _CONTROL.search(text) is None


def check_endpoint(endpoint_type: str, value: str) -> Rejection | None:
    """Return why a participant may not register `value` for the type, or None."""
    if not is_endpoint_type(endpoint_type):
        return _invalid("type is not a known endpoint type")
    if not value or len(value) > VALUE_LENGTH_MAX:
        return _invalid(f"value must have 1 to {VALUE_LENGTH_MAX} characters")
    if endpoint_type in EMAIL_TYPES:
        return None if _EMAIL.match(value) else _invalid("value is not an e-mail address")
    if endpoint_type == ALARM_TOPIC_TYPE:
        return None if _TOPIC.match(value) else _invalid("value is not the name of a topic")
    return _check_template(endpoint_type, value)


def check_base_url(value: str) -> Rejection | None:
    """Return why the hub could not call services below this URL, or None."""
    if not value or len(value) > VALUE_LENGTH_MAX:
        return _invalid(f"value must have 1 to {VALUE_LENGTH_MAX} characters")
    template = _parse_template(value)
    if isinstance(template, Unrenderable) or template.names:
        return _invalid("value is not a URL")
    fault = _check_url(template)
    return fault or (_invalid("value must end with its path") if "?" in value or "#" in value else None)


def _check_template(endpoint_type: str, value: str) -> Rejection | None:
    template = _parse_template(value)
    if isinstance(template, Unrenderable):
        return _invalid(template.detail)
    if not endpoint_type.startswith(THIRD_PARTY_PREFIX):
        known = TEMPLATE_TYPES.get(endpoint_type, frozenset())
        for name in template.names:
            if name not in known:
                return _invalid(f"{endpoint_type} has no variable {name}")
    return _check_url(template)


def _check_url(template: _Template) -> Rejection | None:
    try:
        parts = urlsplit("x".join(template.literals))
        port = parts.port
    except ValueError:
        return _invalid("value is not a URL")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return _invalid("value is not an http or https URL")
    if "@" in parts.netloc or parts.fragment:
        return _invalid("value must have neither credentials nor a fragment")
    if template.names and not template.literals[0].startswith(f"{parts.scheme}://{parts.netloc}/"):
        return _invalid("variables are allowed behind the host only")
    return None


@lru_cache(maxsize=4096)
def _parse_template(value: str) -> _Template | Unrenderable:
    literals: list[str] = []
    names: list[str] = []
    end = 0
    for match in _VARIABLE.finditer(value):
        literals.append(value[end : match.start()])
        names.append(match[2])
        end = match.end()
    literals.append(value[end:])
    for literal in literals:
        if "{" in literal or "}" in literal:
            return Unrenderable("value is not a template of {{variables}}")
        if not _URL_CHARACTERS.match(literal):
            return Unrenderable("value has characters that no URL has")
    return _Template(tuple(literals), tuple(names))


def _invalid(detail: str) -> Rejection:
    return Rejection(ErrorCode.VALIDATION_ERROR, detail)
