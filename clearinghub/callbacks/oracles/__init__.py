"""External oracles over HTTP (fspiop 6.2): each with its own limits, so that a slow or dead one delays nobody else."""
