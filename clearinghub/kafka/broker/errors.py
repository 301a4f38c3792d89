"""What can go wrong before there is a broker.

BrokerUnavailableError      no broker can be had; the sentence is for the operator
"""

from __future__ import annotations


class BrokerUnavailableError(Exception):
    """No broker, and the sentence says what was looked for and what to install or set."""
