"""The hub's edges to Kafka: what the ports of `clearinghub.ports` are made of when the hub runs."""
