"""`clearinghub report`: the hub's reports on the screen, in a file, and checked against the books."""
