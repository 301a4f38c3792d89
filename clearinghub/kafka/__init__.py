"""The hub's clients of Kafka, which implement ports of `clearinghub.ports`; the topics; and a broker of our own."""
