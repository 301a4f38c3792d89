from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.config import Settings
from clearinghub.domain.errors import ErrorInformation, Rejection
from clearinghub.domain.parties.batch import Batch
from clearinghub.domain.parties.party import (
    ENTRIES_MAX,
    PARTY_TYPES,
    BatchItem,
    Entries,
    PartyEntry,
    PartyId,
    RegisteredParty,
    fsp_of_party,
    fsps_to_ask,
    identifier_rejection,
    register,
    removal_rejection,
    remove,
    update,
)
from tables.batches import BATCHES, batch_key
from tables.parties import PARTIES

ENTRIES = st.lists(
    st.builds(
        PartyEntry,
        st.sampled_from(["alpha", "beta", "gamma"]),
        st.sampled_from([None, "1"]),
        st.sampled_from([None, "USD", "EUR"]),
    )
)


def code(outcome: object) -> str | None:
    return outcome.code if isinstance(outcome, Rejection) else None


@pytest.mark.parametrize(
    ("id_type", "identifier"),
    [
        ("MSISDN", "+27710101999"),
        ("MSISDN", "1"),
        ("MSISDN", "1" * 30),
        ("EMAIL", "a.b+c@mail.example.org"),
        ("IBAN", "DE44500105175407324931"),
        ("ALIAS", "ကခဂ"),
        ("ALIAS", "a/b"),
        ("BUSINESS", "x" * 128),
        ("PERSONAL_ID", "#1"),
        ("DEVICE", "00:1b"),
        ("SHOE_SIZE", "42"),
    ],
)
def test_identifiers(id_type: str, identifier: str) -> None:
    assert identifier_rejection(PartyId(id_type, identifier)) is None
    for sub_id in ("sub/1", "{SubId}", "current account"):
        assert identifier_rejection(PartyId(id_type, identifier, sub_id)) is None


@pytest.mark.parametrize(
    ("id_type", "identifier"),
    [
        ("MSISDN", "+"),
        ("MSISDN", "1" * 31),
        ("MSISDN", "١٢"),
        ("MSISDN", "1-2"),
        ("EMAIL", "a@b"),
        ("EMAIL", "@b.c"),
        ("EMAIL", "a@b@c.d"),
        ("EMAIL", "a@.d"),
        ("IBAN", "de44500105175407324931"),
        ("IBAN", "DE44"),
        ("ALIAS", ""),
        ("ALIAS", "x" * 129),
        *(("ALIAS", f"a{one}b") for one in " \t\n\x00\x7f\x85\u2028{}<>`\\"),
    ],
)
def test_what_is_no_identifier(id_type: str, identifier: str) -> None:
    assert "3101" == code(identifier_rejection(PartyId(id_type, identifier)))
    assert "3101" == code(identifier_rejection(PartyId("ALIAS", "a", "\n")))


def test_the_settings_name_all_types() -> None:
    assert PARTY_TYPES == Settings().built_in_oracle_types


def test_where_a_party_is_kept() -> None:
    assert "MSISDN/1" == PartyId("MSISDN", "1", "100").key


def test_an_identifier_has_only_so_many_entries() -> None:
    entries: Entries = ()
    for number in range(ENTRIES_MAX):
        more = register(entries, PartyEntry("alpha", str(number)))
        assert not isinstance(more, Rejection)
        entries = more

    assert "3003" == code(register(entries, PartyEntry("alpha", "one more")))
    assert entries == register(entries, entries[0])


@given(ENTRIES)
def test_no_two_fsps_have_the_same_party(requests: list[PartyEntry]) -> None:
    entries: Entries = ()
    for one in requests:
        more = register(entries, one)
        entries = entries if isinstance(more, Rejection) else more

    for sub_id in (None, "1"):
        for currency in ("USD", "EUR"):
            assert len({one.fsp for one in entries if one.is_of(sub_id, currency)}) <= 1
    assert entries == PARTIES.decode(PARTIES.encode(RegisteredParty(entries))).entries


@given(ENTRIES, st.sampled_from(["alpha", "beta"]), st.sampled_from([None, "1"]), st.sampled_from([None, "USD"]))
def test_a_removal_takes_only_what_is_the_fsps_own(
    listed: list[PartyEntry], fsp: str, sub_id: str | None, currency: str | None
) -> None:
    entries = tuple(dict.fromkeys(listed))

    left = remove(entries, fsp, sub_id, currency)

    gone = {one for one in entries if one.fsp == fsp and one.sub_id == sub_id and currency in (None, one.currency)}
    if isinstance(left, Rejection):
        assert ("3040", set()) == (left.code, gone)
    else:
        assert gone
        assert set(left) == set(entries) - gone


def test_an_update() -> None:
    entries = PartyEntry("alpha", None, "USD"), PartyEntry("alpha", "1"), PartyEntry("beta", None, "EUR")

    assert (entries[1], entries[2], PartyEntry("alpha", None, "XTS")) == update(
        entries, PartyEntry("alpha", None, "XTS")
    )
    assert "3003" == code(update(entries, PartyEntry("alpha", None, "EUR")))  # beta has it
    assert "3003" == code(update(entries, PartyEntry("gamma", None, "XTS")))  # has nothing


def test_who_removal_rejection_at_a_foreign_oracle() -> None:
    own, other = PartyEntry("alpha"), PartyEntry("beta")

    assert removal_rejection((own, own), "alpha") is None
    assert ["3040", "3040", "3040"] == [code(removal_rejection(one, "alpha")) for one in ((), (other,), (own, other))]


def test_whom_a_lookup_leads_to() -> None:
    entries = PartyEntry("alpha"), PartyEntry("beta", None, "USD"), PartyEntry("gone"), PartyEntry("gamma", "1")
    known = {"alpha", "beta", "gamma"}.__contains__

    assert ("alpha", "beta") == fsps_to_ask((*entries, entries[0]), None, known)
    assert ("gamma",) == fsps_to_ask(entries, "1", known)
    refused = [fsps_to_ask((), None, known), fsps_to_ask(entries, "2", known), fsps_to_ask((entries[2],), None, known)]
    assert ["3204", "3200", "3204"] == [code(one) for one in refused]
    assert ["alpha", "gamma"] == [fsp_of_party(entries, sub_id, "USD") for sub_id in (None, "1")]
    assert "3204" == code(fsp_of_party(entries[1:2], None, "EUR"))


def test_a_batch_under_way() -> None:
    items = BatchItem(PartyId("MSISDN", "1"), "alpha"), BatchItem(PartyId("MSISDN", "2", "100"), None)
    error = ErrorInformation("3204", "Party not found")
    begun = Batch("0-7", items, None, frozenset({"p0", "p1"}), {1: error})
    assert begun == BATCHES.decode(BATCHES.encode(begun))

    half = begun.with_part("p0", {0: error})
    assert (half, half.with_part("p1", {}).is_done) == (half.with_part("p0", {}), True)
    assert not half.is_done
    done = half.with_part("p1", {})
    assert {
        "partyList": [
            {"partyId": {"partyIdType": "MSISDN", "partyIdentifier": "1", "fspId": "alpha"}, **error.as_json()},
            {
                "partyId": {"partyIdType": "MSISDN", "partyIdentifier": "2", "partySubIdOrType": "100"},
                **error.as_json(),
            },
        ]
    } == done.result()
    assert "id/alpha" == batch_key("alpha", "id")
