"""The docs site: `sphinx-build -W docs OUTPUT`. Every warning is an error, and so is a link to what is not there."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/r2-mcp/r2-mcp"

project = "r2-mcp"
author = "The r2-mcp authors"
copyright = "The r2-mcp authors"  # noqa: A001  (Sphinx's name for it)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
maximum_signature_line_length = 88
default_role = "code"  # what docstrings put in single backticks is code

html_theme = "pydata_sphinx_theme"
html_title = "r2-mcp"
html_copy_source = False
html_sidebars = {"**": ["globaltoc.html"]}
html_theme_options = {
    "github_url": REPOSITORY,
    "navbar_center": [],  # the pages stand in the sidebar
    "navigation_with_keys": False,
    "show_prev_next": False,
}

_OUTSIDE = re.compile(r"(\]\()\.\./([^)#\s]+)")


def _outside(app: Any, page: str, source: list[str]) -> None:
    """Links that leave docs/ lead into the repository."""
    from sphinx.util import logging

    def link(found: re.Match[str]) -> str:
        if not (ROOT / found[2]).exists():
            logging.getLogger(__name__).warning("no file %s in the repository", found[2], location=page)
        return f"{found[1]}{REPOSITORY}/{'tree' if (ROOT / found[2]).is_dir() else 'blob'}/main/{found[2]}"

    source[0] = _OUTSIDE.sub(link, source[0])


def setup(app: Any) -> None:
    app.connect("source-read", _outside)
