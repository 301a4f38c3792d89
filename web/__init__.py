"""What talks HTTP to the hub's environment: DFSPs (fspiop), operators (admin), machines (operations)."""
