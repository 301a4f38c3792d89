"""The ledger worker's own surface: queries on its partitions, health, metrics. For the hub's other roles only."""
