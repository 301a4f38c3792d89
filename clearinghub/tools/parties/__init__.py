"""`clearinghub parties`: the built-in oracle's parties from and to CSV files."""
