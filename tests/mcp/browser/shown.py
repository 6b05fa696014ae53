"""The page of a decision in a real browser, inside a host that speaks the protocol of MCP Apps."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.extension import advertise
from support.mcp_client import serve

from r2_mcp.app import URI
from r2_router import R2Router

CHROMIUM = os.environ.get("R2_CHROMIUM") or shutil.which("chromium")
MISSING = ([] if find_spec("playwright") else ["playwright"]) + ([] if CHROMIUM else ["chromium"])
INSTALL = "pip install --group browser -e . and Debian's package chromium (R2_CHROMIUM names another program)"
UI = advertise("io.modelcontextprotocol/ui", {"mimeTypes": ["text/html;profile=mcp-app"]})
HOST = "http://host.test/"
VIEW = "http://view.test/"

# What a host must send where a page asks for no address (the specification's restrictive default).
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'"
)


def called(router: R2Router, tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """The page that `tool` names, and what it answers a host of apps, as a real client gets them."""

    async def call() -> tuple[str, dict[str, Any]]:
        async with Client(serve(router), extensions=[UI]) as client:
            listed = {t.name: t for t in (await client.list_tools()).tools}
            meta = listed[tool].meta
            assert meta is not None
            assert meta["ui"]["resourceUri"] == URI
            found = await client.read_resource(URI)
            [content] = found.contents
            assert content.mime_type == "text/html;profile=mcp-app"
            result = await client.call_tool(tool, arguments)
            return content.text, result.model_dump(mode="json", by_alias=True, exclude_none=True)  # type: ignore[union-attr]

    with ThreadPoolExecutor(1) as beside:  # Playwright has a loop of its own on this thread
        return beside.submit(asyncio.run, call()).result()


class Shown:
    """A page in its host: what it shows, what it said, and what it should not have done."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("console", lambda message: self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    @property
    def view(self) -> Any:
        return self.page.frame(url=VIEW)

    def open(self, theme: str = "light", *, refuses: bool = False) -> None:
        self.page.goto(f"{HOST}?theme={theme}{'&refuses' if refuses else ''}")
        self.page.wait_for_function("() => window.host.ready")

    def tell(self, result: dict[str, Any], **arguments: Any) -> None:
        """The tool's arguments and its result, as a host sends them."""
        self.notify("tool-input", {"arguments": arguments})
        self.notify("tool-result", result)

    def notify(self, name: str, params: dict[str, Any]) -> None:
        self.page.evaluate("([m, p]) => window.host.notify(m, p)", [f"ui/notifications/{name}", params])

    def said(self, method: str) -> list[dict[str, Any]]:
        return [m for m in self.page.evaluate("() => window.host.said") if m.get("method") == method]

    def text(self, selector: str) -> str:
        return self.view.locator(selector).inner_text()

    def rows(self) -> list[list[str]]:
        """The cells of the table, a list a row."""
        return self.view.evaluate(
            "() => [...document.querySelectorAll('#rows tr')].map(r => [...r.cells].map(c => c.textContent))"
        )

    def set_worth(self, worth: float) -> None:
        self.view.locator("#worth").fill(repr(worth))

    def slide(self, step: int) -> float | None:
        """Move the slider; the worth that it stands for, None for whatever it costs."""
        move = "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')) }"
        self.view.locator("#slider").evaluate(move, step)
        worth = self.view.locator("#choice").get_attribute("data-worth")
        return None if worth == "null" else float(worth)


@contextmanager
def browser() -> Generator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@contextmanager
def showing(running: Any, html: str, **options: Any) -> Generator[Shown]:
    """`html` in a host; what is asked for besides the two pages is a fault, and is not fetched."""
    context = running.new_context(**options)
    shown = Shown(context.new_page())
    own = {HOST: (Path(__file__).parent / "host.html").read_text(encoding="utf-8"), VIEW: html}

    def serve_page(route: Any) -> None:
        page = own.get(route.request.url.partition("?")[0])
        if page is None:
            shown.faults.append(f"asked for {route.request.url}")
            route.abort()
            return
        policy = {} if page is own[HOST] else {"content-security-policy": POLICY}
        route.fulfill(body=page, headers={"content-type": "text/html; charset=utf-8", **policy})

    context.route("**/*", serve_page)
    yield shown
    context.close()
