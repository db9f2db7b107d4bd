"""``python -m checker``: the ``vcheck`` command."""

import sys

from checker.cli import main

sys.exit(main())
