"""`clearinghub admin`: what operators do daily, over the admin HTTP API."""

from clearinghub.tools.admin.main import run

__all__ = ["run"]
