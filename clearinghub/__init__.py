"""Clearing hub for instant payments, wire-compatible with Mojaloop's FSPIOP API v1.1."""

__version__ = "1.1.0"
