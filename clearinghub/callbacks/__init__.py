"""Callbacks to the DFSPs: from a record of topic `notification` to an answered request, or to the dead letter."""
