"""POST /participants: parties that are registered together and answered in one callback (protocol 6.4)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.parties.party import BatchItem
from clearinghub.rows import Row


class Batch(Row, frozen=True, array_like=True):
    """A batch under way: the names of the parts that have no result yet, and the errors by the items' places.

    `run` tells this attempt from an earlier one of the same request id.
    """

    run: str
    items: tuple[BatchItem, ...]
    currency: str | None
    waiting: frozenset[str]
    errors: Mapping[int, ErrorInformation]

    @property
    def is_done(self) -> bool:
        """Whether all parts have a result."""
        return not self.waiting

    def with_part(self, part: str, errors: Mapping[int, ErrorInformation]) -> Batch:
        """Return the batch with the result of one part; a second result of the same part changes nothing."""
        if part not in self.waiting:
            return self
        return msgspec.structs.replace(self, waiting=self.waiting - {part}, errors={**self.errors, **errors})

    def result(self) -> dict[str, object]:
        """Return the body of PUT /participants/{requestId}."""
        assert self.is_done
        listed = [{"partyId": item.as_json(), **self._error(number)} for number, item in enumerate(self.items)]
        return {"partyList": listed} | ({} if self.currency is None else {"currency": self.currency})

    def _error(self, number: int) -> dict[str, object]:
        error = self.errors.get(number)
        return {} if error is None else error.as_json()
