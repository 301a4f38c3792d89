"""`python -m clearinghub COMMAND`; `bin/clearinghub COMMAND` from any folder."""

from __future__ import annotations

import sys

from clearinghub.tools.cli import main

if __name__ == "__main__":
    sys.exit(main())
