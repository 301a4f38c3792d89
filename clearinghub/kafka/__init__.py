"""The hub's edges to Kafka: what the ports of `clearinghub.kafka.ports` are made of when the hub runs."""
