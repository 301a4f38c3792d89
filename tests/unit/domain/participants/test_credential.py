"""How credentials are registered, activated, retired and revoked, one case a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.credential import (
    DAY_MS,
    EVER_MAX,
    JWS_MAX,
    TLS_MAX,
    Credential,
    CredentialForm,
    Credentials,
    CredentialState,
    CredentialUse,
    NewCredential,
    activate,
    due_notice,
    find,
    register,
    retire,
    revoke,
    shared_ids,
)

NOW = 1_700_000_000_000
END = NOW + 365 * DAY_MS
CERTIFICATE, REQUEST, KEY = CredentialForm.CERTIFICATE, CredentialForm.REQUEST, CredentialForm.KEY
CLIENT, AUTHORITY, JWS = CredentialUse.TLS_CLIENT, CredentialUse.TLS_SERVER_CA, CredentialUse.JWS


def new(name: str = "a", use: CredentialUse = JWS, **changes: Any) -> NewCredential:
    certified = NewCredential(name, use, CERTIFICATE, f"pem of {name}", NOW - DAY_MS, END)
    return replace(certified, **changes)


def done(decided: Credentials | Rejection) -> Credentials:
    assert not isinstance(decided, Rejection), decided.description
    return decided


def refused(decided: Credentials | Rejection) -> str:
    assert isinstance(decided, Rejection)
    return f"{decided.code} {decided.detail}"


def pending(*names: str, use: CredentialUse = JWS) -> Credentials:
    credentials: Credentials = ()
    for name in names:
        credentials = done(register(credentials, new(name, use), NOW))
    return credentials


def active(name: str = "a") -> Credentials:
    return done(activate(pending(name), name, "good", NOW))


def only(credentials: Credentials) -> Credential:
    (one,) = credentials
    return one


def test_a_new_key_is_pending_and_counts_when_it_is_activated() -> None:
    one = only(pending("a"))
    assert (CredentialState.PENDING, False) == (one.state, one.is_valid(NOW))

    one = only(done(activate((one,), "a", "by two", NOW + 1)))
    assert (CredentialState.ACTIVE, True, NOW + 1, "by two") == (
        one.state,
        one.is_valid(NOW + 1),
        one.changed_at_ms,
        one.reason,
    )


def test_it_counts_within_its_certificates_dates() -> None:
    one = only(active())

    assert [False, True, True, False] == [one.is_valid(at) for at in (NOW - DAY_MS - 1, NOW - DAY_MS, END - 1, END)]


def test_a_key_without_a_certificate_never_ends() -> None:
    bare = new(form=KEY, not_before_ms=None, not_after_ms=None)
    one = only(done(activate(done(register((), bare, NOW)), "a", "good", NOW)))

    assert one.ends_at_ms is None
    assert one.is_valid(0)
    assert one.is_valid(100 * END)


def test_a_retiring_key_counts_until_its_time() -> None:
    one = only(done(retire(active(), "a", NOW + DAY_MS, "replaced", NOW)))

    assert (CredentialState.RETIRING, NOW + DAY_MS) == (one.state, one.ends_at_ms)
    assert [True, False] == [one.is_valid(at) for at in (NOW + DAY_MS - 1, NOW + DAY_MS)]


def test_a_time_of_retiring_may_become_earlier_and_never_later() -> None:
    retiring = done(retire(active(), "a", NOW + 5 * DAY_MS, "replaced", NOW))

    earlier = only(done(retire(retiring, "a", NOW + DAY_MS, "sooner", NOW)))
    assert NOW + DAY_MS == earlier.until_ms
    assert "3100 it retires earlier already; activate it instead" == refused(
        retire((earlier,), "a", NOW + 2 * DAY_MS, "later", NOW)
    )


def test_one_that_retires_can_be_activated_again_until_its_end() -> None:
    retiring = done(retire(active(), "a", NOW + DAY_MS, "replaced", NOW))

    back = only(done(activate(retiring, "a", "the new one does not work", NOW + 1)))
    assert (CredentialState.ACTIVE, None) == (back.state, back.until_ms)
    assert "3100 it has ended; register a new key" == refused(activate(retiring, "a", "too late", NOW + DAY_MS))


def test_a_revoked_key_never_comes_back() -> None:
    revoked = done(revoke(active(), "a", "stolen", NOW))

    assert ("", CredentialState.REVOKED, "stolen") == (only(revoked).pem, only(revoked).state, only(revoked).reason)
    assert not only(revoked).is_valid(NOW)
    for decided in (
        register(revoked, new("a"), NOW),
        activate(revoked, "a", "please", NOW),
        retire(revoked, "a", NOW + DAY_MS, "please", NOW),
    ):
        assert refused(decided).startswith("3100")
    assert revoked == revoke(revoked, "a", "once more", NOW + 1)


@pytest.mark.parametrize("use", [JWS, CLIENT, AUTHORITY])
def test_a_key_that_is_known_is_not_registered_for_another_use(use: CredentialUse) -> None:
    for credentials in (active("a"), done(revoke(active("a"), "a", "stolen", NOW))):
        assert "3100 the key is registered, or was; make a new one" == refused(
            register(credentials, new("a", use), NOW)
        )


def test_the_same_once_more_changes_nothing() -> None:
    credentials = pending("a")

    assert credentials == register(credentials, new("a"), NOW + 1)
    assert "3100 the key is registered, or was; make a new one" == refused(
        register(credentials, new("a", pem="another"), NOW)
    )
    activated = active()
    assert activated == activate(activated, "a", "once more", NOW + 1)
    retiring = done(retire(activated, "a", NOW + DAY_MS, "replaced", NOW))
    assert retiring == retire(retiring, "a", NOW + DAY_MS, "once more", NOW + 1)


def test_the_certificate_of_a_request_takes_its_place() -> None:
    requested = new("a", CLIENT, form=REQUEST, pem="request", not_before_ms=None, not_after_ms=None)
    credentials = done(register((), requested, NOW))
    assert "3100 it is a request still; register its certificate first" == refused(
        activate(credentials, "a", "early", NOW)
    )

    one = only(done(register(credentials, new("a", CLIENT), NOW + 7)))

    assert (CERTIFICATE, "pem of a", NOW, END) == (one.form, one.pem, one.registered_at_ms, one.not_after_ms)
    assert CredentialState.PENDING is one.state
    # Not for another use, and never the reverse.
    assert refused(register(credentials, new("a", JWS), NOW)).startswith("3100")
    assert refused(register((one,), requested, NOW)).startswith("3100")


@pytest.mark.parametrize(("use", "most"), [(JWS, JWS_MAX), (CLIENT, TLS_MAX), (AUTHORITY, TLS_MAX)])
def test_so_many_at_a_time(use: CredentialUse, most: int) -> None:
    full = pending(*(f"k{number}" for number in range(most)), use=use)

    assert refused(register(full, new("more", use), NOW)).startswith(f"3100 the participant has {most} such")
    other = CLIENT if use is JWS else JWS
    assert most + 1 == len(done(register(full, new("more", other), NOW)))
    freed = done(revoke(full, "k0", "not needed", NOW))
    assert most + 1 == len(done(register(freed, new("more", use), NOW)))
    ended = replace(full[0], not_after_ms=NOW)
    assert most + 1 == len(done(register((ended, *full[1:]), new("more", use), NOW)))


def test_certificates_of_clients_and_authorities_count_together() -> None:
    full = pending(*(f"k{number}" for number in range(TLS_MAX)), use=CLIENT)

    assert refused(register(full, new("more", AUTHORITY), NOW)).startswith("3100")


def test_of_what_has_ended_only_the_id_is_kept() -> None:
    first = active("a")

    credentials = done(register(first, new("b", not_after_ms=END + DAY_MS), END))

    assert ["", "pem of b"] == [one.pem for one in credentials]
    assert refused(register(credentials, new("a", not_after_ms=END + DAY_MS), END)).startswith("3100")


def test_a_row_does_not_grow_for_ever() -> None:
    credentials: Credentials = ()
    for number in range(EVER_MAX):
        name = f"k{number}"
        credentials = done(revoke(done(register(credentials, new(name), NOW)), name, "test", NOW))

    assert refused(register(credentials, new("more"), NOW)).startswith(f"3100 the participant has had {EVER_MAX} keys")


def test_a_certificate_that_has_ended_is_not_registered() -> None:
    assert "3100 the certificate has ended" == refused(register((), new(not_after_ms=NOW), NOW))


@pytest.mark.parametrize("until_ms", [NOW, NOW - 1, NOW + 91 * DAY_MS])
def test_retiring_takes_ninety_days_at_most(until_ms: int) -> None:
    assert "3100 until must be within 90 days from now" == refused(retire(active(), "a", until_ms, "replaced", NOW))


def test_only_what_is_active_retires() -> None:
    assert "3100 it is not active, so it cannot retire; revoke it" == refused(
        retire(pending("a"), "a", NOW + DAY_MS, "replaced", NOW)
    )


@pytest.mark.parametrize(
    "decide",
    [
        lambda known: activate(known, "b", "x", NOW),
        lambda known: retire(known, "b", NOW + 1, "x", NOW),
        lambda known: revoke(known, "b", "x", NOW),
    ],
)
def test_an_unknown_credential(decide: Callable[[Credentials], Credentials | Rejection]) -> None:
    assert "3200 Credential does not exist" == refused(decide(active("a")))


def test_a_key_in_two_rows_is_shared_whatever_becomes_of_it_in_one() -> None:
    credentials, own = pending("k"), pending("a", "b")

    assert {"k"} == shared_ids([credentials, own, credentials])
    assert {"k"} == shared_ids([done(revoke(credentials, "k", "stolen", NOW)), own, credentials])
    assert set() == shared_ids([credentials, own])


def test_an_authority_may_serve_several() -> None:
    shared = pending("ca", use=AUTHORITY)

    assert set() == shared_ids([shared, shared, pending("ca", use=CLIENT)])


def test_a_notice_is_due_once_for_each_of_its_days() -> None:
    one = only(active())
    due = []
    for hour in range(40 * 24):
        at_ms = END - 40 * DAY_MS + hour * DAY_MS // 24
        days = due_notice(one, at_ms)
        if days is not None:
            due.append((days, (END - at_ms) // DAY_MS))
            one = replace(one, noticed_days=days)

    assert [(30, 30), (14, 14), (7, 7), (1, 1)] == due
    assert due_notice(one, END) is None


def test_what_was_late_gets_only_the_last_notice() -> None:
    one = only(active())

    assert 7 == due_notice(one, END - 6 * DAY_MS)
    assert due_notice(replace(one, noticed_days=7), END - 6 * DAY_MS) is None


def test_no_notice_of_what_ends_on_purpose_or_never() -> None:
    one, at_ms = only(active()), END - DAY_MS

    for state in (CredentialState.PENDING, CredentialState.RETIRING, CredentialState.REVOKED):
        assert due_notice(replace(one, state=state), at_ms) is None
    assert due_notice(replace(one, not_after_ms=None), at_ms) is None


def test_find() -> None:
    credentials = pending("a", "b")

    assert "b" == getattr(find(credentials, "b"), "credential_id", None)
    assert find(credentials, "c") is None
