"""Simulated DFSPs around a running hub, for trying and proving it; they use its HTTP APIs only, as real DFSPs do."""
