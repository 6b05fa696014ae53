"""A model's text as Markdown that runs nothing and fetches nothing, whichever front end reads it.

Front ends read Markdown differently, and a trusted notebook runs whatever HTML one of them finds in it. So the text is
not searched for what is dangerous: one parser reads it, with raw HTML off, and what that parser understood is written
out again. There every character that some dialect could take for markup is a character reference, code that a dialect
could look into is `<code>` made of references, links lead to web pages and mail addresses only, and an image is a link:
loading one would tell its host what the model wrote into the address.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from r2_magic.formulas import add_formulas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

_MOST_CHARACTERS = 100_000  # of a text that is parsed: more is shown as it was typed
_MOST_NESTED = 60  # levels of the parser's tokens: 30 lists in one another
_MOST_BRACKETS = 1_000  # of a paragraph in which links are looked for: that takes the square of their number

_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]+", re.IGNORECASE)
_IN_A_URL = "-._~:/?#@!&=+,;%"
_LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,30}")
_LINE_ENDS = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_PARTS = re.compile(r"\n[ \t]*\n")

# What can mean something in some dialect, and what starts a formula once a browser has read the references.
_MARKUP = re.compile(r"[`*\[\]<|~^]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])|@(?=@)|\{(?=\{)|(\\|\$)")
_AT_LINE_START = re.compile(r"[#>+=:-]|(?<=\d)[.)]")
_LINE_START = re.compile(r"^(?:[#>+=:-]|\d{1,9}[.)])")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~\n\t]")
_PLAIN_SPAN = re.compile(r"[\w .,;:=+/(){}'\"%?@#*-]+")
_NOT_PLAIN_NESTED = re.compile(r"[<&\[$\\`~]|\n\n\n|@@")
_NOT_PLAIN = re.compile(r"\\(?:begin|end)\{|\\\\[()\[\]]|@@\d+@@")  # some front ends look for formulas in code too
_NO_DIAGRAM = re.compile(r"<[A-Za-z/!?]|&")  # nbconvert writes a diagram's source into its page as it is


def safe_markdown(text: str) -> str:
    """`text`, whole or as far as it came, as Markdown of the same look. Formulas are between dollars."""
    text = _LINE_ENDS.sub("\n", text)
    if len(text) > _MOST_CHARACTERS:
        return code_block(text)
    from markdown_it.tree import SyntaxTreeNode

    links = all(part.count("[") <= _MOST_BRACKETS for part in _PARTS.split(text))
    tokens = _parser(links=links).parse(text)
    if any(token.level >= _MOST_NESTED - 1 for token in tokens):
        return code_block(text)  # the parser left out what is deeper
    return "\n".join(_blocks(SyntaxTreeNode(tokens).children, top=True))


def code_block(code: str, language: str = "", *, top: bool = True) -> str:
    """`code` as a block that it cannot leave; `top`: it stands in no list or quotation."""
    code = code.rstrip("\n")
    if language.lower() == "mermaid" and _NO_DIAGRAM.search(code):
        language = ""
    if (_NOT_PLAIN if top else _NOT_PLAIN_NESTED).search(code):
        kind = f' class="language-{_references(language)}"' if language else ""
        return f"<pre><code{kind}>{_references(code)}</code></pre>"
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", code)), 0)
    return f"{ticks}{language}\n{code}\n{ticks}"


@cache
def _parser(*, links: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_NESTED})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = lambda url: _LINK.fullmatch(url) is not None
    if not links:
        parser.disable(["link", "image", "autolink"])
    return add_formulas(parser)


# -- blocks --------------------------------------------------------------------------------------------------


def _blocks(nodes: Sequence[SyntaxTreeNode], *, top: bool = False, tight: bool = False) -> list[str]:
    """The lines of `nodes`, a blank one between two blocks, save where a list follows the text of its `tight` item."""
    lines: list[str] = []
    for i, node in enumerate(nodes):
        if i and not (tight and node.type.endswith("_list") and nodes[i - 1].type == "paragraph"):
            lines.append("")
        lines += _block(node, top=top)
    return lines


def _block(node: SyntaxTreeNode, *, top: bool) -> list[str]:
    if node.type in ("fence", "code_block"):
        language = _LANGUAGE.match(node.info.strip())
        return code_block(node.content, language[0] if language else "", top=top).split("\n")
    return _WRITERS[node.type](node)


def _paragraph(node: SyntaxTreeNode) -> list[str]:
    return [_LINE_START.sub(_referred_line_start, line.lstrip(" \t")) for line in _inline(node).split("\n")]


def _heading(node: SyntaxTreeNode) -> list[str]:
    return [f"{'#' * int(node.tag[1])} {_on_one_line(node).replace('#', '&#35;') if node.children else ''}".rstrip()]


def _quotation(node: SyntaxTreeNode) -> list[str]:
    return [f"> {line}".rstrip(" ") if not line.endswith("  ") else f"> {line}" for line in _blocks(node.children)]


def _list(node: SyntaxTreeNode) -> list[str]:
    ordered = node.type == "ordered_list"
    first = int(node.attrs.get("start", 1))
    tight = all(p.hidden for item in node.children for p in item.children if p.type == "paragraph")
    lines: list[str] = []
    for i, item in enumerate(node.children):
        marker = f"{first + i}. " if ordered else f"{node.children[0].markup} "
        own = _blocks(item.children, tight=tight) or [""]
        if i and not tight:
            lines.append("")
        lines.append(f"{marker}{own[0]}".rstrip() if not own[0] else f"{marker}{own[0]}")
        lines += [f"{' ' * len(marker)}{line}" if line else "" for line in own[1:]]
    return lines


def _table(node: SyntaxTreeNode) -> list[str]:
    head, *rows = [row for part in node.children for row in part.children]
    sides = {"text-align:left": ":---", "text-align:center": ":---:", "text-align:right": "---:"}
    rule = [sides.get(str(cell.attrs.get("style", "")), "---") for cell in head.children]
    written = [[_on_one_line(cell) for cell in row.children] for row in (head, *rows)]
    return [f"| {' | '.join(cells)} |" for cells in (written[0], rule, *written[1:])]


def _formula_block(node: SyntaxTreeNode) -> list[str]:
    return f"$${node.content}$$".split("\n")


_WRITERS: dict[str, Callable[[SyntaxTreeNode], list[str]]] = {
    "paragraph": _paragraph,
    "heading": _heading,
    "blockquote": _quotation,
    "bullet_list": _list,
    "ordered_list": _list,
    "table": _table,
    "hr": lambda node: ["***"],
    "formula_block": _formula_block,
}


# -- in a line -----------------------------------------------------------------------------------------------


def _inline(node: SyntaxTreeNode, *, linked: bool = False) -> str:
    """The text below `node`; `linked`: it is a link's, which holds no other."""
    return "".join(_piece(child, linked=linked) for child in node.children)


def _on_one_line(node: SyntaxTreeNode) -> str:
    return " ".join(_inline(node).split("\n")).strip()


def _piece(node: SyntaxTreeNode, *, linked: bool) -> str:
    if node.type in _PIECES:
        return _PIECES[node.type](node)
    inner = _inline(node, linked=linked or node.type in ("link", "image"))
    if linked and node.type in ("link", "image"):
        return inner
    if node.type == "link":
        return _link(inner, str(node.attrs["href"]))
    if node.type == "image":
        return _link(f"image: {inner}".rstrip(" :"), str(node.attrs["src"]))
    return f"{node.markup}{inner}{node.markup}"  # inline itself, em, strong, s


def _link(label: str, url: str) -> str:
    address = quote(url, safe=_IN_A_URL).replace("&", "&amp;")
    return f"[{label or address}]({address})"


def _code_span(code: str) -> str:
    if _PLAIN_SPAN.fullmatch(code) and code == code.strip():
        return f"`{code}`"
    return f"<code>{_references(code)}</code>"


def _references(text: str) -> str:
    """`text` without a character that means anything to Markdown or HTML, and on one line."""
    return _PUNCTUATION.sub(lambda m: f"&#{ord(m[0])};", text)


def _referred(found: re.Match[str]) -> str:
    reference = f"&#{ord(found[0])};"
    # A browser's formulas end at an element's edge; the classes are for those that go on.
    return f'<span class="tex2jax_ignore mathjax_ignore">{reference}</span>' if found[1] else reference


def _referred_line_start(found: re.Match[str]) -> str:
    return _AT_LINE_START.sub(lambda m: f"&#{ord(m[0])};", found[0])


_PIECES: dict[str, Callable[[SyntaxTreeNode], str]] = {
    "text": lambda node: _MARKUP.sub(_referred, node.content),
    "code_inline": lambda node: _code_span(node.content),
    "formula": lambda node: node.content,
    "softbreak": lambda node: "\n",
    "hardbreak": lambda node: "  \n",
}
