"""`clearinghub admin`: what operators do daily, over the admin HTTP API."""

from clearinghub.admin_cli.main import run

__all__ = ["run"]
