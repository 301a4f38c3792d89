"""Any order of commands on two participants' credentials: what is revoked stays so, and no key is of two."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.credential import (
    DAY_MS,
    JWS_MAX,
    TLS_MAX,
    CredentialForm,
    Credentials,
    CredentialState,
    CredentialUse,
    NewCredential,
    activate,
    find,
    register,
    retire,
    revoke,
)
from clearinghub.domain.participants.participant import Participant
from clearinghub.security.credentials import CredentialDirectory
from tests.fakes import FakeParticipants

START_MS = 1_700_000_000_000
NAMES = st.sampled_from(["alpha", "beta"])
KEYS = st.sampled_from([f"key{number}" for number in range(12)])


class CredentialMachine(RuleBasedStateMachine):
    """Each participant's row is decided alone, as on two partitions that know nothing of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = START_MS
        self.rows: dict[str, Credentials] = {"alpha": (), "beta": ()}
        self.versions = 0
        self.dead: set[tuple[str, str]] = set()
        self.participants = FakeParticipants()
        self.directory = CredentialDirectory(self.participants, lambda: self.now_ms)
        self.seen_of: dict[str, set[str]] = {}

    def put(self, name: str, decided: Credentials | Rejection) -> None:
        if isinstance(decided, Rejection):
            return
        self.versions += 1
        self.rows[name] = decided
        self.participants.by_name[name] = Participant(
            1, name, active=True, created_at_ms=0, version=self.versions, credentials=decided
        )

    @rule(
        name=NAMES,
        key=KEYS,
        use=st.sampled_from(CredentialUse),
        form=st.sampled_from(CredentialForm),
        days=st.none() | st.integers(-1, 400),
    )
    def register(self, name: str, key: str, use: CredentialUse, form: CredentialForm, days: int | None) -> None:
        end_ms = None if days is None else self.now_ms + days * DAY_MS
        new = NewCredential(key, use, form, f"{key} {form.value} {end_ms}", None, end_ms)
        self.put(name, register(self.rows[name], new, self.now_ms))

    @rule(key=KEYS, uses=st.tuples(st.sampled_from(CredentialUse), st.sampled_from(CredentialUse)))
    def register_for_both_at_one_moment(self, key: str, uses: tuple[CredentialUse, CredentialUse]) -> None:
        """Two processes of the admin API take a key, and neither sees the other's command."""
        for name, use in zip(self.rows, uses, strict=True):
            self.register(name, key, use, CredentialForm.KEY, None)
            self.activate(name, key)

    @rule(name=NAMES, key=KEYS)
    def activate(self, name: str, key: str) -> None:
        self.put(name, activate(self.rows[name], key, "test", self.now_ms))

    @rule(name=NAMES, key=KEYS, days=st.integers(-1, 100))
    def retire(self, name: str, key: str, days: int) -> None:
        self.put(name, retire(self.rows[name], key, self.now_ms + days * DAY_MS, "test", self.now_ms))

    @rule(name=NAMES, key=KEYS)
    def revoke(self, name: str, key: str) -> None:
        self.put(name, revoke(self.rows[name], key, "test", self.now_ms))
        if find(self.rows[name], key) is not None:
            self.dead.add((name, key))

    @rule(hours=st.integers(0, 24 * 200))
    def wait(self, hours: int) -> None:
        self.now_ms += hours * 3_600_000

    @invariant()
    def what_is_revoked_or_has_ended_never_counts_again(self) -> None:
        for name, credentials in self.rows.items():
            for one in credentials:
                if one.has_ended(self.now_ms):
                    self.dead.add((name, one.credential_id))
                if (name, one.credential_id) in self.dead:
                    assert not one.is_valid(self.now_ms)
        for name, key in self.dead:
            assert name != self.directory.participant_of(key)

    @invariant()
    def a_key_never_shows_two_participants(self) -> None:
        for name, credentials in self.rows.items():
            for one in credentials:
                if one.use.identifies and one.is_valid(self.now_ms) and self.counts(name, one.credential_id):
                    self.seen_of.setdefault(one.credential_id, set()).add(name)
        for key, names in self.seen_of.items():
            assert 1 == len(names), f"{key} was of {names}"

    def counts(self, name: str, key: str) -> bool:
        """Return whether the directory knows the key as the participant's now, for TLS or for signatures."""
        signs = any(one.credential_id == key for one in self.directory.valid(name, CredentialUse.JWS))
        return signs or self.directory.participant_of(key) == name

    @invariant()
    def there_are_never_more_than_so_many_at_a_time(self) -> None:
        for credentials in self.rows.values():
            living = [one for one in credentials if not one.has_ended(self.now_ms)]
            assert JWS_MAX >= sum(one.use is CredentialUse.JWS for one in living)
            assert TLS_MAX >= sum(one.use is not CredentialUse.JWS for one in living)
            assert len({one.credential_id for one in credentials}) == len(credentials)

    @invariant()
    def a_request_never_counts(self) -> None:
        for credentials in self.rows.values():
            for one in credentials:
                assert one.form is not CredentialForm.REQUEST or one.state in (
                    CredentialState.PENDING,
                    CredentialState.REVOKED,
                )


TestCredentials = CredentialMachine.TestCase
TestCredentials.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
