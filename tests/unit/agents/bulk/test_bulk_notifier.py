"""The payer is notified when its bulk cannot be forwarded (protocol 5.4, 8.1)."""

from __future__ import annotations

import pytest

from agents.bulk.notify import BULK_ERROR, BulkNotifier
from agents.context import LedgerContext
from agents.turn import Turn
from clearinghub.callbacks.failure import failure_callback
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason, ReasonCode
from clearinghub.messages import FailureMessage, NotificationMessage
from tests.fakes import FakeParticipants, MemoryView, Offsets
from tests.property.bulk_world import prepare_body


def posted(*, fsp_in_bulk_paths: bool = False) -> NotificationMessage:
    """The bulk as the payee gets it."""
    view = MemoryView()
    context = LedgerContext("Hub", FakeParticipants(), fsp_in_bulk_paths=fsp_in_bulk_paths)
    record = Offsets("bulk-prepare", 0).record(b"", 1_700_000_000_000)
    turn = Turn(record, view, context, None, record.timestamp_ms)
    BulkNotifier(turn, "b-1").post("payee", "payer", prepare_body("b-1", [("t-1", 1)]))
    [emitted] = view.take()
    return Notification.parse(emitted.value).message


@pytest.mark.parametrize(
    ("fsp_in_bulk_paths", "path"), [(False, "/bulkTransfers/b-1/error"), (True, "/payer/bulkTransfers/b-1/error")]
)
def test_the_payer_is_notified_when_its_payee_has_no_endpoint(fsp_in_bulk_paths: bool, path: str) -> None:
    callback = posted(fsp_in_bulk_paths=fsp_in_bulk_paths)

    assert ("payee", "POST", "/bulkTransfers") == (callback.receiver, callback.method, callback.path)
    assert (
        FailureMessage(receiver="payer", endpoint=BULK_ERROR, path=path, variables={"id": "b-1"}, no_endpoint_only=True)
        == callback.failure
    )
    error = failure_callback(callback, Reason(ReasonCode.NO_ENDPOINT), "Hub")
    assert error is not None
    assert b'"errorCode":"1001"' in error.body


def test_an_attempt_that_may_have_arrived_leads_to_nothing_but_the_expiry() -> None:
    assert failure_callback(posted(), Reason(ReasonCode.RETRIES_EXHAUSTED), "Hub") is None
