"""External oracles over HTTP (protocol 6.2): each has its own limits, so a slow or dead one delays no other."""
