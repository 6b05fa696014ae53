"""`python -m r2_router.cli`."""

import os
import sys

import r2_router

# Nothing is loaded from the folder one happens to be in: see r2_mcp/__main__.py.
if sys.path[:1] == [os.getcwd()] != [os.path.dirname(r2_router.__path__[0])]:  # noqa: PTH109, PTH120
    del sys.path[0]

from r2_router.cli import main

sys.exit(main())
