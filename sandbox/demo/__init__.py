"""Proves a running hub: makes payments and transfers of every kind and checks each outcome and account."""
