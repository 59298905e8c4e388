"""``python -m lossmark``."""

import sys

from .cli.main import main

sys.exit(main())
