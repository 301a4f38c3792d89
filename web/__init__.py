"""What talks HTTP to the hub's surroundings: DFSPs (fspiop), operators (admin), machines (operations)."""
