"""The edge and delivery agree: whatever the edge accepts as a part of a path, every URL template can write."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from clearinghub.domain.participants.endpoints import (
    TEMPLATE_TYPES,
    Unrenderable,
    render_url,
)
from clearinghub.domain.parties.party import PartyId, identifier_rejection
from web.fspiop.parties_schemas import checked_segment
from web.fspiop.schemas import check_path_id
from web.http.errors import ApiError

HOST = "http://dfsp.example"
IDS = st.one_of(st.uuids(version=4).map(str), st.text())
SEGMENTS = st.one_of(
    st.text(max_size=130),
    st.text(st.characters(exclude_categories=()), max_size=5),
    st.text("./%{}\x00\x1f\x7f\x85\u2028 ", max_size=4),
)


def accepted(check: object, *args: object, **options: object) -> bool:
    try:
        check(*args, **options)  # type: ignore[operator]
    except ApiError:
        return False
    return True


@given(SEGMENTS, SEGMENTS, SEGMENTS, IDS)
@example("..", "MSISDN", "1", "")
@example("1", "MSISDN", "..", "")
def test_what_the_edge_accepts_can_be_written_into_every_url(
    identifier: str, id_type: str, sub_id: str, other_id: str
) -> None:
    variables = {}
    if accepted(checked_segment, "Type", id_type, 32):
        variables["partyIdType"] = id_type
    if accepted(checked_segment, "ID", identifier, pattern=True):
        variables["partyIdentifier"] = identifier
    if accepted(checked_segment, "SubId", sub_id):
        variables["partySubIdOrType"] = sub_id
    if accepted(check_path_id, other_id):
        variables |= dict.fromkeys(("transferId", "id", "commitRequestId", "requestId"), other_id)

    for endpoint_type, names in TEMPLATE_TYPES.items():
        for name in names & variables.keys():
            url = render_url(endpoint_type, f"{HOST}/a/{{{{{name}}}}}/b", variables, "/unused")
            assert not isinstance(url, Unrenderable), (name, variables[name], url)
            path = urlsplit(url).path
            assert ["", "a", "b"] == [part for number, part in enumerate(path.split("/")) if number != 2]
            assert path.split("/")[2] not in ("", ".", "..")


@given(SEGMENTS, st.one_of(st.none(), SEGMENTS))
def test_what_a_batch_registers_can_be_looked_up(identifier: str, sub_id: str | None) -> None:
    if identifier_rejection(PartyId("ALIAS", identifier, sub_id)) is None:
        assert accepted(checked_segment, "ID", identifier, pattern=True)
        assert sub_id is None or accepted(checked_segment, "SubId", sub_id)
