"""Drive JupyterLab in headless Chromium: run three cells, check what the page shows, keep pictures of it.

    pip install -e . jupyterlab playwright        (in an environment of its own; Chromium from the system)
    python tests/magic/browser/screenshots.py docs/images

R2_CHROMIUM names the browser's program (default: chromium, as found on the path). Where R2_MODELS_DIR holds the
weights of the local models, they answer, as in the pictures kept in docs/images; else a loopback server does, always
the same, and what the page shows of its answer is checked too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from support.chat_server import chat_server, says  # noqa: E402

SAVED = "saved.ipynb"
SIZE = {"width": 1080, "height": 600}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
MOST_BYTES = 150_000

REAL = bool(os.environ.get("R2_MODELS_DIR"))
PROMPT = (
    "Write a Python function that returns the n-th prime." if REAL else "Why is the sky blue? Give the formula too."
)
WHICH = "In one or two sentences: what is a hash table good for?"
REPLY = (
    "Sunlight is **scattered** by the molecules of the air, and short waves far more than long ones: ",
    "so blue reaches us from every direction. At sunset the path is long, and mostly red is left.\n\n",
    "$$I \\propto \\frac{1}{\\lambda^4}$$",
)
USAGE = {"prompt_tokens": 27, "completion_tokens": 68}


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        chat_server(says(*REPLY, usage=USAGE)) as server,
        jupyter(Path(home), server.url) as url,
        sync_playwright() as playwright,
    ):
        program = os.environ.get("R2_CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, theme in THEMES.items():
            page = browser.new_page(viewport=SIZE)
            page.goto(f"{url}/lab/tree/{name}.ipynb?reset")
            run_cells(page, theme)
            check(page)
            picture = folder / f"magic-{name}.png"
            page.screenshot(path=str(picture))
            compared = folder / f"compare-{name}.png"
            page.locator(".jp-Cell", has=page.locator(".r2-side")).screenshot(path=str(compared))
            for kept in (picture, compared):
                assert kept.stat().st_size < MOST_BYTES, f"{kept} is too large"
            page.close()
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{url}/lab/tree/{SAVED}?reset")
        check_saved(page)
        browser.close()


@contextmanager
def jupyter(home: Path, models_url: str) -> Generator[str]:
    """JupyterLab on a notebook of two cells for each theme; yields its address."""
    import nbformat
    from nbclient import NotebookClient

    environment = {
        **os.environ,
        "R2_HOME": str(home / "r2"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    if not REAL:
        environment["R2_LLM_API_BASE"] = models_url
    cells = ["%load_ext r2_magic", f"%%r2 --worth 0.01 --top 4\n{PROMPT}", f"%%r2 --compare 2 --max-tokens 80\n{WHICH}"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name in THEMES:
        nbformat.write(notebook, home / f"{name}.ipynb")
    NotebookClient(notebook, timeout=180).execute(env=environment)
    nbformat.write(notebook, home / SAVED)  # not signed, so not trusted: its HTML is sanitised
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    command += [f"--ServerApp.root_dir={home}", f"--LabApp.user_settings_dir={home / 'settings'}"]
    lab = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield address(lab)
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.communicate(timeout=20)


def address(lab: subprocess.Popen[str]) -> str:
    """Where the server listens, from its log."""
    assert lab.stderr is not None
    for line in lab.stderr:
        _, found, rest = line.partition("http://127.0.0.1:")
        if found:
            return found + rest.split("/")[0]
    raise RuntimeError("JupyterLab did not start.")


def run_cells(page: Any, theme: str) -> None:
    """Set the theme, hide what is not the notebook, run all cells, wait for the result of the last."""
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady", timeout=60_000)
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.wait_for_function(
        "light => document.body.dataset.jpThemeLight === light", arg=str(theme == THEMES["light"]).lower()
    )
    page.evaluate("() => { const shell = window.jupyterapp.shell; shell.collapseLeft(); shell.collapseRight(); }")
    page.evaluate("() => { window.jupyterapp.shell.mode = 'single-document' }")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    error = page.locator("[data-mime-type='application/vnd.jupyter.error'], [data-mime-type$='stderr']")
    page.locator(".r2-side").or_(error).first.wait_for(timeout=180_000)
    assert not error.count(), error.first.inner_text()
    page.wait_for_function("() => !document.querySelector('.jp-mod-loading, .jp-Dialog')", timeout=30_000)


def check(page: Any) -> None:
    """The chosen row stands out, markdown is rendered, a click on a heading sorts, nothing failed."""
    assert page.locator(".r2-table tbody tr").count() == 4
    assert page.locator(".r2-table tr.r2-chosen").count() == 1
    chosen, other = (colour(page, f".r2-table tbody tr:nth-child({row})") for row in (1, 2))
    assert chosen != other, "the chosen row looks like the others"
    assert REAL or page.locator(".jp-RenderedMarkdown strong").count() == 1
    costs = page.locator(".r2-table td:nth-child(6)")
    page.locator(".r2-table th:nth-child(6)").click()
    values = [float(costs.nth(i).get_attribute("data-v")) for i in range(costs.count())]
    assert values == sorted(values), "a click on a heading did not sort"
    page.locator(".r2-table th:nth-child(1)").click()


def check_saved(page: Any) -> None:
    """A saved notebook that is not trusted still shows the ranking, the choice in bold, and the answer."""
    page.wait_for_selector(".jp-RenderedHTMLCommon table", timeout=60_000)
    rows = page.locator(".jp-RenderedHTMLCommon table tbody tr")
    assert rows.count() == 4
    assert rows.nth(0).locator("strong").count() > 0
    assert rows.nth(1).locator("strong").count() == 0
    assert page.locator(".jp-RenderedHTMLCommon details summary").count() >= 1
    assert REAL or page.locator(".jp-RenderedMarkdown strong").count() == 1


def colour(page: Any, selector: str) -> str:
    return page.evaluate("s => getComputedStyle(document.querySelector(s)).backgroundColor", selector)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
