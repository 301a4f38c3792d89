"""Whole payments (lookup, quote, transfer), made one after the other: each hop is timed and each message is checked."""
