"""POST /participants: parties registered together, whose results are told together (protocol 6.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.parties.party import PartyId


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One party of a batch, with the FSP that it names."""

    party: PartyId
    fsp: str | None

    def as_json(self) -> dict[str, str]:
        """The PartyIdInfo that it came as, without extensions."""
        named = {
            "partyIdType": self.party.id_type,
            "partyIdentifier": self.party.identifier,
            "partySubIdOrType": self.party.sub_id,
            "fspId": self.fsp,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch under way: what is still `waiting`, and which of its items, by number, went wrong."""

    run: str
    items: tuple[BatchItem, ...]
    currency: str | None
    waiting: frozenset[str]
    errors: Mapping[int, ErrorInformation]
    trace: str | None

    @property
    def is_done(self) -> bool:
        """Whether all that was asked has been answered."""
        return not self.waiting

    def with_part(self, part: str, errors: Mapping[int, ErrorInformation]) -> Batch:
        """The batch once a part of it is done; a part that was done before changes nothing."""
        if part not in self.waiting:
            return self
        return replace(self, waiting=self.waiting - {part}, errors={**self.errors, **errors})

    def result(self) -> dict[str, Any]:
        """The body of PUT /participants/{requestId}."""
        listed = [{"partyId": item.as_json(), **self._error(number)} for number, item in enumerate(self.items)]
        return {"partyList": listed} | ({} if self.currency is None else {"currency": self.currency})

    def _error(self, number: int) -> dict[str, object]:
        error = self.errors.get(number)
        return {} if error is None else error.as_json()


def batch_items(listed: Iterable[Iterable[Any]]) -> tuple[BatchItem, ...]:
    """The items in a batch's record."""
    return tuple(BatchItem(PartyId(id_type, identifier, sub_id), fsp) for id_type, identifier, sub_id, fsp in listed)
