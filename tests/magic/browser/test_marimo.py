"""marimo, in a real browser: it has no magics, and shows what the router returns, light and dark."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import chat_server, says

INSTALL = "pip install --group browser -e . and Debian's package chromium (R2_CHROMIUM names another program)"
CHROMIUM = os.environ.get("R2_CHROMIUM") or shutil.which("chromium")
MISSING = [part for part in ("marimo", "playwright") if find_spec(part) is None] + ([] if CHROMIUM else ["chromium"])
if MISSING and not os.environ.get("R2_NO_SKIP"):  # where nothing may be skipped, what is missing is a fault
    pytest.skip(f"{', '.join(MISSING)} not installed: {INSTALL}", allow_module_level=True)

pytestmark = pytest.mark.slow

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    from r2_magic import r2
    from r2_router import R2Router

    router = R2Router.from_pretrained()
    return r2, router


@app.cell
def _(router):
    router.route_text("What is the capital of Italy?")
    return


@app.cell
def _(router):
    router.explain("What is the capital of Italy?")
    return


@app.cell
def _(r2):
    r2("What is the capital of Italy?")
    return


@app.cell
def _(router):
    router.route_and_generate("What is the capital of Italy?")
    return
"""


# Of the text of an element, and of what is behind it: 0 to 255.
BRIGHTNESS = """selector => {
  const rgba = colour => {
    const canvas = document.createElement('canvas').getContext('2d');
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const grey = ([r, g, b]) => (r + g + b) / 3;
  const element = document.querySelector(selector);
  let behind = element;
  while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
  const paper = behind ? grey(rgba(getComputedStyle(behind).backgroundColor)) : 255;
  return [grey(rgba(getComputedStyle(element).color)), paper];
}"""


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Any]:
    """The notebook as marimo's app shows it, in that theme."""
    from playwright.sync_api import sync_playwright

    (tmp_path / "page.py").write_text(NOTEBOOK)
    (tmp_path / "pyproject.toml").write_text(f'[tool.marimo.display]\ntheme = "{request.param}"\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with chat_server(says("It is **Rome**, for $5 and $6. <img src=x onerror=alert(1)>")) as server:
        environment = {**os.environ, "R2_LLM_API_BASE": server.url}
        command = [sys.executable, "-m", "marimo", "run", "page.py", "--headless", "--no-token"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        marimo = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert any("URL" in line for line in marimo.stdout or ()), "marimo did not start"
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                opened = browser.new_page(viewport={"width": 1100, "height": 1000})
                opened.goto(f"http://127.0.0.1:{port}", timeout=60_000)
                yield opened
                opened.screenshot(path=str(tmp_path / "page.png"), full_page=True)
                browser.close()
        finally:
            marimo.send_signal(signal.SIGTERM)
            marimo.communicate(timeout=20)


def test_a_decision_an_explanation_and_an_answer_are_shown_as_what_they_are(page: Any) -> None:
    page.locator(".r2-table").nth(1).wait_for(timeout=60_000)
    page.get_by_text("It is Rome").wait_for(timeout=60_000)
    page.locator(".r2-text").wait_for(timeout=60_000)
    text = page.inner_text("body")
    assert page.locator(".r2-table tr.r2-chosen").count() == 2
    assert "Why: the best trade of quality and cost" in text
    assert "Frontier: nothing is both better and cheaper" in text
    assert "<Decision" not in text
    assert page.locator("strong", has_text="Rome").count() == 1  # of the magic's function, which shows Markdown
    assert page.locator(".r2-text", has_text="It is **Rome**, for $5 and $6.").count() == 1  # of the library
    assert "for $5 and $6. <img src=x onerror=alert(1)>" in text
    assert page.locator("img[src=x]").count() == 0
    ink, paper = page.evaluate(BRIGHTNESS, ".r2-table tbody tr:nth-child(2) td")
    assert abs(ink - paper) > 100
