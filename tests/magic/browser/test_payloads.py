"""In a real browser: no answer runs code, drives the notebook or calls home, whatever shows it; formulas still render.

The cells run in JupyterLab; the notebook it saves is opened again, trusted and not, in JupyterLab, Notebook 7 and
nbclassic, shown by Voila, and exported by nbconvert.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.chat_server import ChatServer, chat_server, says
from support.payloads import PAYLOADS
from support.rendered import ELEMENTS

from r2_magic.safe_markdown import safe_markdown

INSTALL = "pip install --group browser -e . and Debian's package chromium (R2_CHROMIUM names another program)"
CHROMIUM = os.environ.get("R2_CHROMIUM") or shutil.which("chromium")
PARTS = ("jupyterlab", "notebook", "nbclassic", "voila", "playwright")
MISSING = [part for part in PARTS if find_spec(part) is None] + ([] if CHROMIUM else ["chromium"])
if MISSING and not os.environ.get("R2_NO_SKIP"):  # where nothing may be skipped, what is missing is a fault
    pytest.skip(f"{', '.join(MISSING)} not installed: {INSTALL}", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # nbformat and nbconvert warn of themselves

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
FINE = "It is $5 and $6, or **$7** and $8; inline $x^2 < y$, \\(a_1\\), and\n\n$$\\frac{1}{2}$$\n\n\\[E = mc^2\\]"
FORMULAS = 4
ANSWERS = (FINE, *PAYLOADS)

# What stands in an answer on the page and should not: formulas, diagrams and anchors are the front end's own.
DANGERS = """([elements, selector]) => {
  const found = [];
  const own = 'mjx-container, .MathJax, .MathJax_Preview, .MathJax_CHTML, .MathJax_Display, script[type^="math/tex"], '
    + '.jp-RenderedMermaid, .jp-Mermaid, [class^="MJX"], [class^="mjx"], [id^="MathJax"]';
  for (const answer of document.querySelectorAll(selector)) {
    for (const e of answer.querySelectorAll('*')) {
      if (e.closest(own)) continue;
      const tag = e.localName;
      if (!elements.includes(tag)) { found.push(e.outerHTML.slice(0, 200)); continue; }
      for (const { name, value } of e.attributes) {
        if (/^on|commandlinker/.test(name)) found.push(e.outerHTML.slice(0, 200));
        if (name === 'href' && !/^(https?:|mailto:|#)/i.test(value)) found.push(value);
      }
    }
  }
  return found;
}"""


class Watch:
    """What ran or was called for in the browser."""

    def __init__(self, context: Any) -> None:
        self.ran: set[str] = set()
        context.expose_function("pwned", lambda which=None: self.ran.add(str(which)))
        context.on("request", lambda request: self.ran.add(request.url) if "/leak" in request.url else None)
        context.on("page", lambda page: page.on("dialog", lambda dialog: dialog.dismiss()))


class Notebook:
    """A Jupyter server on a folder, and a browser for it."""

    def __init__(self, folder: Path, url: str, context: Any, watch: Watch) -> None:
        self.folder, self.url, self.context, self.watch = folder, url, context, watch

    @contextmanager
    def page(self, path: str) -> Generator[Any]:
        self.watch.ran.clear()
        page = self.context.new_page()
        try:
            page.goto(f"{self.url}/{path}", timeout=60_000)
            yield page
        finally:
            page.close()


@pytest.fixture(scope="module")
def server() -> Generator[ChatServer]:
    with chat_server(*(says(answer) for answer in ANSWERS), says("no more")) as running:
        yield running


@pytest.fixture(scope="module")
def notebook(server: ChatServer, tmp_path_factory: pytest.TempPathFactory) -> Generator[Notebook]:
    home = tmp_path_factory.mktemp("jupyter")
    folder = home / "notebooks"
    folder.mkdir()
    write(folder / "answers.ipynb", ["%load_ext r2_magic", *(cell(i) for i in range(len(ANSWERS)))])
    write(folder / "raw.ipynb", raw_cells())
    write(folder / "pages.ipynb", ["%load_ext r2_magic", "%%r2 --route-only\nhello", "%r2 explain", "%r2 curve"])
    from playwright.sync_api import sync_playwright

    with jupyter(home, folder, server.url) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        yield Notebook(folder, url, context, Watch(context))
        browser.close()


@pytest.fixture(scope="module")
def saved(notebook: Notebook) -> Path:
    """The notebook that ran in JupyterLab and was saved there; it is trusted. What ran meanwhile is in its metadata."""
    with notebook.page("lab/tree/answers.ipynb?reset") as page:
        run_all(page)
        settle(page)
        found = page.evaluate(DANGERS, dangers_in(".jp-RenderedMarkdown"))
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.model.dirty", timeout=30_000)
        (notebook.folder / "while it ran.json").write_text(json.dumps([sorted(notebook.watch.ran), found]))
    return notebook.folder / "answers.ipynb"


# -- tests -------------------------------------------------------------------------------------------------------


def test_the_browser_shows_what_runs(notebook: Notebook) -> None:
    """The payloads as they are, in Markdown and in HTML that the same front end trusts, do run."""
    with notebook.page("lab/tree/raw.ipynb?reset") as page:
        run_all(page)
        settle(page)
        assert page.evaluate(DANGERS, dangers_in(".jp-RenderedMarkdown"))
    ran = notebook.watch.ran
    assert "control" in ran
    assert len(ran) > 40, sorted(ran)
    assert any("/leak" in one for one in ran)


def test_nothing_runs_while_the_cells_run(notebook: Notebook, saved: Path) -> None:
    assert json.loads((notebook.folder / "while it ran.json").read_text()) == [[], []]
    outputs = [cell["outputs"] for cell in json.loads(saved.read_text())["cells"][1:]]
    answers = ["".join(o[0]["data"]["text/markdown"]) for o in outputs]
    assert answers == [safe_markdown(answer) for answer in ANSWERS]


@pytest.mark.parametrize("front", ["lab/tree", "notebooks", "nbclassic/notebooks"])
@pytest.mark.parametrize("trusted", [True, False])
def test_nothing_runs_when_the_notebook_is_opened_again(
    notebook: Notebook, saved: Path, front: str, trusted: bool
) -> None:
    name = saved.name if trusted else copy_without_trust(saved)
    classic = front.startswith("nbclassic")
    shown = ".output_text" if classic and not trusted else ".jp-RenderedMarkdown, .output_markdown"
    with notebook.page(f"{front}/{name}?reset") as page:  # Lab opens nothing else then
        wait_for(page, shown, len(ANSWERS))
        settle(page, formulas=shown != ".output_text")  # nbclassic shows the text itself where it does not trust
        assert page.evaluate(DANGERS, dangers_in(shown)) == []
        if shown != ".output_text":
            check_fine(page.locator(shown).first)
        if not classic:
            signed = "() => [...window.jupyterapp.shell.currentWidget.content.widgets].every(w => w.model.trusted)"
            assert page.evaluate(signed) is trusted
    assert notebook.watch.ran == set()


def test_nothing_runs_in_an_exported_page(notebook: Notebook, saved: Path) -> None:
    import nbclassic
    from nbconvert import HTMLExporter

    components = Path(nbclassic.__file__).parent / "static" / "components"
    exporter = HTMLExporter(
        mathjax_url="http://exported.test/MathJax/MathJax.js?config=TeX-AMS-MML_HTMLorMML-full,Safe"
    )
    html, _ = exporter.from_filename(str(saved))

    def serve(route: Any) -> None:
        path = urlsplit(route.request.url).path.lstrip("/")
        if path == "page.html":
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        elif (components / path).is_file():
            route.fulfill(path=components / path)
        else:
            route.fulfill(status=404)

    notebook.watch.ran.clear()
    page = notebook.context.new_page()
    page.route("http://exported.test/**", serve)
    page.route("https://**", lambda route: route.abort())
    page.goto("http://exported.test/page.html", timeout=60_000)
    settle(page)
    assert page.evaluate(DANGERS, dangers_in(".jp-RenderedMarkdown")) == []
    check_fine(page.locator(".jp-RenderedMarkdown").first)
    page.close()
    assert notebook.watch.ran == set()


def test_nothing_runs_in_voila(notebook: Notebook, saved: Path, server: ChatServer) -> None:
    server.then(*(says(answer) for answer in ANSWERS), says("no more"))
    with notebook.page(f"voila/render/{saved.name}") as page:
        wait_for(page, ".jp-RenderedMarkdown", len(ANSWERS))
        settle(page)
        assert page.evaluate(DANGERS, dangers_in(".jp-RenderedMarkdown")) == []
    assert notebook.watch.ran == set()


def test_no_beginning_of_an_answer_runs(notebook: Notebook) -> None:
    """Each text an answer is on its way, as JupyterLab's renderer of Markdown shows it where it is trusted."""
    written = sorted(
        {safe_markdown(payload[:end]) for payload in PAYLOADS for end in range(min(len(payload), 120) + 1)}
    )
    render = """async texts => {
      const area = document.createElement('div');
      area.className = 'beginnings';
      document.body.append(area);
      const mime = window.jupyterapp.shell.currentWidget.content.rendermime;
      for (const text of texts) {
        const renderer = mime.createRenderer('text/markdown');
        await renderer.renderModel(mime.createModel({ data: { 'text/markdown': text }, trusted: true }));
        area.append(renderer.node);
      }
    }"""
    with notebook.page("lab/tree/raw.ipynb?reset") as page:
        ready(page)
        page.evaluate(render, written)
        settle(page, formulas=False)  # they are set where an output is part of a notebook
        assert page.locator(".beginnings p").count() > len(written) / 2
        assert page.evaluate(DANGERS, dangers_in(".beginnings")) == []
    assert notebook.watch.ran == set()


def test_our_own_pages_hold_no_formula_and_the_curve_takes_the_themes_colours(notebook: Notebook) -> None:
    """Also where the notebook is not trusted: then the curve's points are lines of text."""
    with notebook.page("lab/tree/pages.ipynb?reset") as page:
        run_all(page)  # a ranking, its decision in a line, an explanation, a curve
        wait_for(page, ".r2-output", 4)
        page.wait_for_load_state("networkidle")
        assert page.locator(".r2-output").nth(2).inner_text().count("$") > 4
        assert page.locator(".r2-output mjx-container").count() == 0
        points = page.locator(".r2-curve .r2-point")
        told = [title.splitlines()[0] for title in points.locator("title").all_text_contents()]
        assert len(told) > 10
        assert all(re.search(r": quality 0\.\d\d.*, \$[\d.]+, [\d,]+ tokens", title) for title in told)
        colours = set[str]()
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })", theme)
            light = str(theme.endswith("Light")).lower()
            page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=light)
            colours.add(page.evaluate("() => getComputedStyle(document.querySelector('.r2-curve text')).fill"))
            page.locator(".r2-curve").screenshot(path=str(notebook.folder / f"{light}.png"))
        assert len(colours) == 2
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.model.dirty", timeout=30_000)
    with notebook.page(f"lab/tree/{copy_without_trust(notebook.folder / 'pages.ipynb')}?reset") as page:
        legend = page.locator(".r2-legend")
        legend.wait_for(timeout=60_000)
        lines = legend.locator("xpath=..").inner_text().splitlines()
        assert all(title in lines for title in told)
        assert page.locator("mjx-container").count() == 0


# -- how ---------------------------------------------------------------------------------------------------------


def cell(number: int) -> str:
    return f"%%r2 --quiet\nanswer {number}"


def raw_cells() -> list[str]:
    """Cells that show the payloads, and a control, without the magic."""
    control = (
        "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<img src=x onerror=pwned(\"control\")>'))"
    )
    return [control, *(f"display(Markdown({payload!r}))" for payload in PAYLOADS)]


def write(file: Path, cells: list[str]) -> None:
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, file)


def copy_without_trust(file: Path) -> str:
    notebook = json.loads(file.read_text())
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "not signed"}]
    copy = file.with_name("untrusted.ipynb")
    copy.write_text(json.dumps(notebook))
    return copy.name


def dangers_in(selector: str) -> list[object]:
    return [sorted(ELEMENTS), selector]


def ready(page: Any) -> None:
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady", timeout=60_000)


def run_all(page: Any) -> None:
    ready(page)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    error = page.locator("[data-mime-type='application/vnd.jupyter.error']")
    assert not error.count(), error.first.inner_text()


def wait_for(page: Any, selector: str, count: int) -> None:
    """Wait until `count` elements are there."""
    there = "([selector, count]) => document.querySelectorAll(selector).length >= count"
    page.wait_for_function(there, arg=[selector, count], timeout=120_000)


def settle(page: Any, *, formulas: bool = True) -> None:
    """Wait until formulas are set, and nothing is loaded any more."""
    page.wait_for_function("() => !document.querySelector('.jp-mod-loading')", timeout=30_000)
    if formulas:
        page.locator("mjx-container, .MathJax").first.wait_for(state="attached", timeout=60_000)
    page.wait_for_load_state("networkidle", timeout=60_000)


def check_fine(answer: Any) -> None:
    """Money reads as it was typed; what is a formula is one."""
    assert answer.locator("mjx-container, .MathJax").count() == FORMULAS
    text = answer.inner_text()
    assert "$5 and $6, or $7 and $8; inline" in " ".join(text.split())


@contextmanager
def jupyter(home: Path, folder: Path, models_url: str) -> Generator[str]:
    """A server of every front end on `folder`, its kernels answered by `models_url`; yields its address."""
    environment = {
        **os.environ,
        "R2_HOME": str(home / "r2"),
        "R2_LLM_API_BASE": models_url,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    settings = home / "settings" / "@jupyterlab"
    for name, value in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    for app in ("LabApp", "JupyterNotebookApp"):
        command += [f"--{app}.expose_app_in_browser=True", f"--{app}.user_settings_dir={settings.parent}"]
    log = home / "log"
    with log.open("w") as sink:
        process = subprocess.Popen(command, env=environment, stderr=sink, stdout=sink)
    try:
        yield address(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server listens, from its log."""
    while process.poll() is None:
        _, found, rest = log.read_text().partition("http://127.0.0.1:")
        if found and "/" in rest:
            return found + rest.split("/")[0]
    raise RuntimeError(log.read_text())
