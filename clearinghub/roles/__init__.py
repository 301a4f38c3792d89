"""The composition root: what each role is made of. Imports everything; only `__main__` and tests import it."""

from clearinghub.roles.callbacks import run_callbacks
from clearinghub.roles.ingress import run_ingress
from clearinghub.roles.ledger import run_ledger

__all__ = ["run_callbacks", "run_ingress", "run_ledger"]
