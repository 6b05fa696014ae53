"""`python -m r2_router.cli`."""

import sys

from r2_router.cli import main

sys.exit(main())
