"""Whose request it is, by rules that a small model predicts: who connects, what they say, and who has which key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.security.certificates import CLIENT, FSP_URI, Subject, issue, new_authority, spki_id
from clearinghub.security.identity import (
    AnyClient,
    CertifiedClient,
    ForwardedClient,
    Identity,
    IdentityRule,
    Unidentified,
)
from tests.unit.security.samples import ec_key

KEYS = range(4)
NAMES = ("alpha", "beta", "gamma")
HEADERS = ("x-client-id", "x-client-cert", "x-forwarded-client-cert")
REFUSED = "refused"


@cache
def escaped(key: int) -> str:
    authority = new_authority("CA", 30, datetime(2026, 1, 1, tzinfo=UTC))
    issued = issue(
        authority, ec_key(key).public_key(), Subject(FSP_URI + "any"), [CLIENT], 30, datetime(2026, 1, 1, tzinfo=UTC)
    )
    return quote(issued.public_bytes(Encoding.PEM).decode(), safe="")


@cache
def key_id(key: int) -> str:
    return spki_id(ec_key(key).public_key())


@dataclass(frozen=True)
class Registered:
    """Who has registered which key, by the number of the key."""

    owners: Mapping[int, str]

    def participant_of(self, spki_id: str) -> str | None:
        return {key_id(key): name for key, name in self.owners.items()}.get(spki_id)


@dataclass(frozen=True)
class Says:
    """A header of a request: a participant's name, or the number of a key whose certificate it has."""

    header: str
    content: str | int

    @property
    def value(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return f'Hash=00;Cert="{escaped(self.content)}"' if self.header == HEADERS[2] else escaped(self.content)


owners = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(NAMES))
connecting = st.none() | st.sampled_from(KEYS)
saying = st.builds(Says, st.just(HEADERS[0]), st.sampled_from(NAMES)) | st.builds(
    Says, st.sampled_from(HEADERS[1:]), st.sampled_from(KEYS)
)
sayings = st.lists(saying, max_size=4)


def found(rule: IdentityRule, key: int | None, says: Sequence[Says]) -> str | None:
    identity: Identity = rule.identify(
        None if key is None else key_id(key), lambda name: [one.value for one in says if one.header == name]
    )
    return REFUSED if isinstance(identity, Unidentified) else identity


@given(owners, connecting, sayings)
def test_full_is_whose_key_it_is_whatever_they_say(owners: dict[int, str], key: int | None, says: list[Says]) -> None:
    expected = REFUSED if key is None else owners.get(key, REFUSED)

    assert expected == found(CertifiedClient(Registered(owners)), key, says)


@given(owners, st.sets(st.sampled_from(KEYS)), connecting, sayings, st.sampled_from(HEADERS))
def test_a_gateway_is_believed_about_one_client_in_one_header(
    owners: dict[int, str], gateways: set[int], key: int | None, says: list[Says], header: str
) -> None:
    rule = ForwardedClient(header, lambda one: one in map(key_id, gateways), Registered(owners))
    said = [one.content for one in says if one.header == header]
    expected: str | None = REFUSED
    if key in gateways and len(said) == 1:
        expected = said[0] if isinstance(said[0], str) else owners.get(said[0], REFUSED)

    assert expected == found(rule, key, says)


@given(connecting, sayings)
def test_open_compares_a_name_if_there_is_one(key: int | None, says: list[Says]) -> None:
    names = [one.content for one in says if one.header == HEADERS[0]]

    identity = found(AnyClient(), key, says)

    assert (identity is None) == (names == [])
    assert identity not in NAMES or [identity] == names


@given(st.lists(st.sampled_from([*'",;=\\ ', "Cert=", 'Cert="', "VICTIM", "By=", "a"]), max_size=12).map("".join))
def test_nothing_that_a_client_forwards_makes_it_another(forged: str) -> None:
    """The gateway appends its element to what the client has sent: the request is the client's, or nobody's."""
    rule = ForwardedClient(HEADERS[2], lambda _key: True, Registered({0: "victim", 1: "sender"}))
    value = f"{forged.replace('VICTIM', escaped(0))},{Says(HEADERS[2], 1).value}"

    identity = rule.identify(key_id(2), lambda _name: [value])

    assert identity == "sender" or isinstance(identity, Unidentified)
