"""Mixed transfers of nine kinds, sent side by side: what is sent, what must come of it, and the balances afterwards."""
