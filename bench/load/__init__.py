"""`make bench`: run the load generator against a hub and write a report of the results."""


class BenchError(Exception):
    """The benchmark cannot be run or yields no figures; the text says why and what to do."""
