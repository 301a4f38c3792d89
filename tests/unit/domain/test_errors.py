"""The FSPIOP error catalogue, and what is made of its codes and texts."""

from __future__ import annotations

import pytest

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection, is_defined_error_code


def test_description_is_the_text_and_the_detail() -> None:
    assert Rejection(ErrorCode.MODIFIED_REQUEST).description == "Modified request"
    assert Rejection(ErrorCode.VALIDATION_ERROR, "why").description == "Generic validation error - why"


def test_description_is_cut_to_what_the_specification_allows() -> None:
    description = Rejection(ErrorCode.VALIDATION_ERROR, "x" * 200).description

    assert len(description) == 128
    assert description.startswith("Generic validation error - xxx")


@pytest.mark.parametrize(
    ("rejection", "code", "status"),
    [
        (Rejection(ErrorCode.TRANSFER_ID_NOT_FOUND), "3208", 400),
        (Rejection(ErrorCode.INTERNAL_SERVER_ERROR), "2001", 500),
        (Rejection(ErrorCode.CLIENT_ERROR, "Method Not Allowed", 405), "3000", 405),
    ],
)
def test_status_is_the_code_s_unless_said_otherwise(rejection: Rejection, code: str, status: int) -> None:
    assert (code, status) == (rejection.code, rejection.status)


def test_error_information_becomes_the_object_of_the_specification() -> None:
    extensions = {"extension": [{"key": "a", "value": "b"}]}
    bare = ErrorInformation.of(Rejection(ErrorCode.TRANSFER_EXPIRED))
    full = ErrorInformation.of(Rejection(ErrorCode.TRANSFER_EXPIRED), extensions)
    inner = {"errorCode": "3303", "errorDescription": "Transfer expired"}

    assert bare.as_json() == {"errorInformation": inner}
    assert full.as_json() == {"errorInformation": {**inner, "extensionList": extensions}}


@pytest.mark.parametrize(
    "code", ["1000", "2001", "3040", "3303", "3499", "5002", "5199", "6000", "6001", "7000", "7300"]
)
def test_code_of_a_known_group_is_defined(code: str) -> None:
    assert is_defined_error_code(code)


@pytest.mark.parametrize("code", ["", "9999", "6999", "1100", "2100", "3500", "4500", "0000", "30000", "300", "3100\n"])
def test_code_of_no_group_is_undefined(code: str) -> None:
    assert not is_defined_error_code(code)
