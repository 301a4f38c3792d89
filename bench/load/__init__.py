"""`make bench`: the load generator against a hub, and a report of what came out."""
