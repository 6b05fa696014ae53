"""Keep pictures of the MCP App in a host, light and dark.

    python -m tests.mcp.browser.screenshots docs/images        (as tests/mcp/browser/shown.py needs it)

The default checkpoint decides; the page in the dark one has had its worth moved.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.mcp.browser.shown import browser, called, showing  # noqa: E402

QUERY = "Explain to a student why there are infinitely many primes."
SIZE = {"width": 820, "height": 820}
MOST_BYTES = 150_000


def main(folder: Path) -> None:
    from r2_router.router import router_for

    html, result = called(router_for("mcp"), "explain_candidates", query=QUERY, worth_usd=0.01)
    with browser() as running:
        for theme in ("light", "dark"):
            with showing(running, html, viewport=SIZE) as shown:
                shown.open(theme)
                shown.tell(result, query=QUERY)
                shown.view.locator("#main").wait_for()
                if theme == "dark":
                    shown.set_worth(0.0001)
                shown.page.wait_for_function("() => document.querySelector('iframe').style.height")
                picture = folder / f"app-{theme}.png"
                shown.page.screenshot(path=str(picture), full_page=True)
                assert not shown.faults, shown.faults
                assert picture.stat().st_size < MOST_BYTES, f"{picture} is too large"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(R2_HOME=home, R2_LLM_API_BASE="http://127.0.0.1:9")  # where models could be asked
        main(Path(sys.argv[1]))
