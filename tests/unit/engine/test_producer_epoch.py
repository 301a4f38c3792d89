"""A broker that gives no next epoch is refused."""

from __future__ import annotations

import pytest
from aiokafka.errors import IncompatibleBrokerVersion

from clearinghub.engine.producer_epoch import INIT_PRODUCER_ID, VERSION, InitProducerId


def test_a_broker_that_gives_no_next_epoch_is_refused() -> None:
    asked = InitProducerId("application-0", 10_000, 1, 2)

    assert VERSION == asked.prepare({INIT_PRODUCER_ID: (0, VERSION)}).API_VERSION
    for versions in ({INIT_PRODUCER_ID: (0, VERSION - 1)}, {}):
        with pytest.raises(IncompatibleBrokerVersion, match="need a broker of Kafka"):
            asked.prepare(versions)
