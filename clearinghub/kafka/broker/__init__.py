"""Where the hub's broker comes from when nobody else runs one: see `find`."""

from clearinghub.kafka.broker.cluster import LocalCluster
from clearinghub.kafka.broker.find import (
    Broker,
    find_or_start_broker,
    find_running_broker,
    on_running_broker,
    wait_for_broker,
    with_local_brokers,
)
from clearinghub.kafka.broker.local import LocalBroker
from clearinghub.kafka.broker.probe import BrokerUnavailableError

__all__ = [
    "Broker",
    "BrokerUnavailableError",
    "LocalBroker",
    "LocalCluster",
    "find_or_start_broker",
    "find_running_broker",
    "on_running_broker",
    "wait_for_broker",
    "with_local_brokers",
]
