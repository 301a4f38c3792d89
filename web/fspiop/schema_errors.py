"""Find, among pydantic's errors, the one that the reference's validator would name (protocol 1.3).

The reference uses ajv, which stops at the first error: in an object, first a required property that is missing, then
one that must not be there, then the properties in the schema's order, each with its parts. Codes and texts are those
that Mojaloop makes of ajv's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from clearinghub.domain.errors import ErrorCode, Rejection

NOT_IN_ENUMERATION: Final = "not_in_enumeration"

_ROOT: Final = "/requestBody"
_TYPE_TEXTS: Final[Mapping[str, str]] = {
    "string_type": "must be string",
    "list_type": "must be array",
    "dict_type": "must be object",
    "bool_type": "must be boolean",
}
_CONSTRAINT_TEXTS: Final[Mapping[str, str]] = {
    "string_too_short": "must NOT have fewer than {min_length} characters",
    "string_too_long": "must NOT have more than {max_length} characters",
    "too_short": "must NOT have fewer than {min_length} items",
    "too_long": "must NOT have more than {max_length} items",
    "literal_error": "must be equal to one of the allowed values",
    NOT_IN_ENUMERATION: "must be equal to one of the allowed values",
}


def first_rejection(error: ValidationError) -> Rejection:
    """Return the rejection that the sender of an invalid body is sent."""
    return _rejection(_first(error.errors(include_url=False), depth=0))


def pattern_mismatch(path: str, pattern: str) -> str:
    """Return the text for a value that does not match; a leading `(?-u)` is no part of the API's pattern."""
    return f'{path} must match pattern "{pattern.removeprefix("(?-u)")}"'


def _first(errors: Sequence[ErrorDetails], depth: int) -> ErrorDetails:
    """Return the first error in ajv's order; the errors have the first `depth` steps of their paths in common."""
    for error in errors:
        if error["type"] == "missing" and len(error["loc"]) == depth + 1:
            return error
    for error in errors:
        if error["type"] == "extra_forbidden" and len(error["loc"]) == depth + 1:
            return error
    first = errors[0]
    if len(first["loc"]) <= depth + 1:
        return first
    step = first["loc"][depth]
    return _first([error for error in errors if error["loc"][depth] == step], depth + 1)


def _rejection(error: ErrorDetails) -> Rejection:
    kind = error["type"]
    if kind == "missing":
        *parent, name = error["loc"]
        return Rejection(ErrorCode.MISSING_ELEMENT, f"{_path(parent)} must have required property '{name}'")
    if kind == "extra_forbidden":
        return Rejection(ErrorCode.TOO_MANY_ELEMENTS, f"{_path(error['loc'][:-1])} must NOT have additional properties")
    path = _path(error["loc"])
    if kind == "literal_error" and not isinstance(error["input"], str):
        kind = "string_type"
    if kind in _TYPE_TEXTS:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, f"{path} {_TYPE_TEXTS[kind]}")
    context = error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return Rejection(ErrorCode.VALIDATION_ERROR, pattern_mismatch(path, context["pattern"]))
    return Rejection(ErrorCode.VALIDATION_ERROR, f"{path} {_CONSTRAINT_TEXTS[kind].format(**context)}")


def _path(steps: Sequence[int | str]) -> str:
    return "/".join((_ROOT, *map(str, steps)))
