"""The parties of a simulated DFSP: their identifiers, and what a lookup returns (protocol 1.5, 6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Party:
    """A person or business with an account at the DFSP `fsp`. `merchant_code` is the ISO 18245 category of a shop."""

    id_type: str
    identifier: str
    fsp: str
    name: str
    sub_id: str | None = None
    merchant_code: str | None = None

    @property
    def path(self) -> str:
        """The end of the path of a lookup: `MSISDN/447700900123`, `BUSINESS/shop/till-1`."""
        return "/".join((self.id_type, self.identifier, *((self.sub_id,) if self.sub_id is not None else ())))

    @property
    def id_info(self) -> dict[str, str]:
        """The party as FSPIOP's type PartyIdInfo."""
        sub_id = {} if self.sub_id is None else {"partySubIdOrType": self.sub_id}
        return {"partyIdType": self.id_type, "partyIdentifier": self.identifier, **sub_id, "fspId": self.fsp}

    @property
    def described(self) -> dict[str, Any]:
        """The party as FSPIOP's type Party, as its DFSP answers a lookup."""
        code = {} if self.merchant_code is None else {"merchantClassificationCode": self.merchant_code}
        return {"partyIdInfo": self.id_info, **code, "name": self.name}


class Parties:
    """The parties that have an account at one DFSP."""

    def __init__(self) -> None:
        self._own: dict[str, Party] = {}

    def add(self, parties: Iterable[Party]) -> None:
        self._own |= {party.path: party for party in parties}

    def answer(self, path: str) -> dict[str, Any] | None:
        """Return the body of PUT /parties/{path}; None if no party has this path."""
        party = self._own.get(path)
        return None if party is None else {"party": party.described}


def party_endpoints(base_url: str) -> dict[str, str]:
    """Return the endpoints for lookups, to be registered with the hub: endpoint type -> URL template (protocol 5.4)."""
    party, prefix = "{{partyIdType}}/{{partyIdentifier}}", "FSPIOP_CALLBACK_URL_"
    sub_id = party + "/{{partySubIdOrType}}"
    return {
        f"{prefix}PARTIES_GET": f"{base_url}/parties/{party}",
        f"{prefix}PARTIES_PUT": f"{base_url}/parties/{party}",
        f"{prefix}PARTIES_PUT_ERROR": f"{base_url}/parties/{party}/error",
        f"{prefix}PARTIES_SUB_ID_GET": f"{base_url}/parties/{sub_id}",
        f"{prefix}PARTIES_SUB_ID_PUT": f"{base_url}/parties/{sub_id}",
        f"{prefix}PARTIES_SUB_ID_PUT_ERROR": f"{base_url}/parties/{sub_id}/error",
        f"{prefix}PARTICIPANT_BATCH_PUT": f"{base_url}/participants/{{{{requestId}}}}",
        f"{prefix}PARTICIPANT_BATCH_PUT_ERROR": f"{base_url}/participants/{{{{requestId}}}}/error",
    }
