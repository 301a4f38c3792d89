"""How a running hub is reached from outside: its URLs, its admin API, and amounts as people write them."""
