"""``python -m plt`` is the command ``plt``."""

import sys

from plt.cli import main

sys.exit(main())
