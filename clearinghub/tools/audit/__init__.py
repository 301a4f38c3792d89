"""`clearinghub audit`: the books checked from the topics alone, by rules of its own and none of the ledger's code."""
