"""What a page made from an answer may hold; anything else in it is a danger."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "html head body p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del s br hr "
        "table thead tbody tr th td a span div",
    )
)
ATTRIBUTES = {"a": {"href", "class", "id"}, "ol": {"start"}, "th": {"style", "align"}, "td": {"style", "align"}}
STYLE = re.compile(r"text-align: ?(?:left|right|center);?")
LINK = re.compile(r"https?://|mailto:|#", re.IGNORECASE)
IGNORED = "tex2jax_ignore mathjax_ignore"


def dangers(html: str) -> list[str]:
    """What stands in `html`, a piece of a page, and should not."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            known = name in ATTRIBUTES.get(tag, ()) or name in ("class", "id")
            if not known or (name == "style" and not STYLE.fullmatch(value or "")):
                self.found.append(f"{tag}[{name}={value}]")
            elif name == "href" and not LINK.match(value or ""):
                self.found.append(f"href={value}")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}")
