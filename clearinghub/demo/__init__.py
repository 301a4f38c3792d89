"""Proves a running hub: sends transfers of every kind and checks each outcome and each account."""

from clearinghub.demo.main import run

__all__ = ["run"]
