"""A client of a running hub: its URLs, its admin API, and amounts as people write them."""
