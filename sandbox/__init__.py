"""A scheme to try the hub with: two simulated DFSPs that speak to it over HTTP only, as real ones do."""
