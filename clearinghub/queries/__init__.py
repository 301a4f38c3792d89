"""Interactive queries: the hub's other processes ask the ledger worker that owns a partition (design 8)."""
