"""A broker that has no next epoch for a producer is refused."""

from __future__ import annotations

import pytest
from aiokafka.errors import IncompatibleBrokerVersion

from clearinghub.engine.producer_epoch import INIT_PRODUCER_ID, VERSION, InitProducerId


def test_a_broker_without_next_epochs_is_refused() -> None:
    request = InitProducerId("application-0", 10_000, 1, 2)

    assert VERSION == request.prepare({INIT_PRODUCER_ID: (0, VERSION)}).API_VERSION
    for versions in ({INIT_PRODUCER_ID: (0, VERSION - 1)}, {}):
        with pytest.raises(IncompatibleBrokerVersion, match="need a broker of Kafka"):
            request.prepare(versions)
