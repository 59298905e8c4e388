"""``python -m lossmark.discover``: a door for gates, whose base may be of a revision that had it here."""

import sys

from .sandbox.describe import main

if __name__ == "__main__":
    sys.exit(main())
