"""Pydantic's errors in the words of Joi, with which the reference validates the admin API's input (protocol 1.3).

The first error is reported: an object's own keys in the schema's order, each with its parts, then keys that it does not
know. That is the order in which pydantic lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from clearinghub.domain.errors import ErrorCode, Rejection

_REFUSED: Final = "refused"
_ROOT: Final = "value"
# What the reference calls a key in place of its path.
_LABELS: Final[Mapping[str, str]] = {
    "action": "action is missing or not supported",
    "amount": "No amount provided",
}
_TEXTS: Final[Mapping[str, tuple[ErrorCode, str]]] = {
    "missing": (ErrorCode.MISSING_ELEMENT, "is required"),
    "extra_forbidden": (ErrorCode.VALIDATION_ERROR, "is not allowed"),
    "dict_type": (ErrorCode.VALIDATION_ERROR, "must be of type object"),
    "list_type": (ErrorCode.VALIDATION_ERROR, "must be an array"),
    "too_short": (ErrorCode.VALIDATION_ERROR, "must contain at least {min_length} items"),
    "too_long": (ErrorCode.VALIDATION_ERROR, "must contain less than or equal to {max_length} items"),
    "string_type": (ErrorCode.MALFORMED_SYNTAX, "must be a string"),
    "string_too_short": (ErrorCode.MALFORMED_SYNTAX, "length must be at least {min_length} characters long"),
    "string_too_long": (
        ErrorCode.MALFORMED_SYNTAX,
        "length must be less than or equal to {max_length} characters long",
    ),
}
_QUOTED: Final = re.compile(r"'([^']*)'")


def refused(code: ErrorCode, fault: str, *, index: int | None = None, names_place: bool = True) -> PydanticCustomError:
    """Return the error of a value that a validator of our own refuses, to be raised.

    `fault` follows the name of the value, or of the item of that index; without `names_place` it is the whole text.
    """
    context = {"code": code.name, "fault": fault, "index": index, "names_place": names_place}
    return PydanticCustomError(_REFUSED, "{fault}", context)


def first_rejection(error: ValidationError) -> Rejection:
    """Return the rejection that the sender of invalid input is sent."""
    first = error.errors(include_url=False)[0]
    if first["type"] == _REFUSED:
        return _of_own_validator(first)
    code, fault = _of_pydantic(first)
    return Rejection(code, f'"{_label(first["loc"])}" {fault}')


def _of_own_validator(error: ErrorDetails) -> Rejection:
    context = error["ctx"]
    code, fault = ErrorCode[context["code"]], context["fault"]
    if not context["names_place"]:
        return Rejection(code, fault)
    index = context["index"]
    place = _label(error["loc"]) if index is None else f"{_label(error['loc'])}[{index}]"
    return Rejection(code, f'"{place}" {fault}')


def _of_pydantic(error: ErrorDetails) -> tuple[ErrorCode, str]:
    kind, context, value = error["type"], error.get("ctx", {}), error["input"]
    if kind == "literal_error":
        values = _QUOTED.findall(context["expected"])
        listed = f"[{', '.join(values)}]"
        return ErrorCode.MALFORMED_SYNTAX, f"must be {listed}" if len(values) == 1 else f"must be one of {listed}"
    if kind == "string_pattern_mismatch":
        fault = f'with value "{value}" fails to match the required pattern: /{context["pattern"]}/'
        return ErrorCode.MALFORMED_SYNTAX, fault
    if kind == "string_too_short" and not value:
        return ErrorCode.MALFORMED_SYNTAX, "is not allowed to be empty"
    code, text = _TEXTS[kind]
    return code, text.format(**context)


def _label(steps: Sequence[int | str]) -> str:
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return _LABELS.get(path, path or _ROOT)
