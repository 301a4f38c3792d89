"""The HTTP surface of a ledger worker, for the hub's other roles only: queries, health, metrics."""
