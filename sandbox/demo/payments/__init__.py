"""Whole payments, from finding the payee to the money: played one at a time, timed hop by hop, checked word by word."""
