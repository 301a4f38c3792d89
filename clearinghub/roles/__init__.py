"""The composition root: what each role is made of. It imports everything; only the command line imports it."""

from clearinghub.roles.callbacks import run_callbacks
from clearinghub.roles.ingress import run_ingress
from clearinghub.roles.ledger import run_ledger

__all__ = ["run_callbacks", "run_ingress", "run_ledger"]
