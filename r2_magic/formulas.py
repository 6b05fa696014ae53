"""Formulas in a model's text: what counts as one, and how it is written for a front end.

Dollars are money more often than mathematics. As in pandoc, a formula's first dollar stands before a character that is
no space, its last one behind such a character and not before a digit; a first dollar also never follows a digit, and
a name such as $HOME/$USER is no formula.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

_MOST_CHARACTERS = 5_000  # of a formula

# What reaches beyond the formula: links, styles, other macros, files, characters of any font.
_FORBIDDEN = re.compile(
    r"\\(?:href|url|class|cssId|style|data|bbox|unicode|mmlToken|require|[egx]?def|let|(?:new|renew|provide)command|"
    r"(?:re)?newenvironment|csname|includegraphics|input|include|special|verb|html[A-Za-z]*|action|toggle|"
    r"(?:text|math)tip)(?![A-Za-z])"
)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_COMMENT = re.compile(r"(?<!\\)%[^\n]*")
_NO_FORMULA = re.compile(r"`|~~~|@@|\n[ \t]*\n|[\x00-\x08\x0b-\x1f\x7f]")
_TELLTALE = re.compile(r"[\\^_]")
_CLOSING = {"$$": "$$", r"\[": r"\]", r"\(": r"\)", "$": "$"}
_OPENING = re.compile(r"\$\$|\\\[|\\\(|\$|\\begin\{[A-Za-z]+\*?\}")


def formula(content: str) -> str | None:
    """`content` as it stands between dollars in Markdown, or None where it is no formula a front end should read."""
    content = _COMMENT.sub("", content).strip()
    bare = _ESCAPED.sub("", content)
    if not content or "$" in bare or content.endswith("\\") or _NO_FORMULA.search(content) or not _balanced(bare):
        return None
    if _FORBIDDEN.search(content):
        return None
    content = re.sub(r"\n\s*", "\n", content.replace('"', "''"))  # it may come to stand in an attribute
    content = re.sub(r"<(?!\s)", "< ", content)  # so it opens no tag where a front end knows no formulas
    return re.sub(r"\](?=[(:\[])", "] ", content)  # nor is it a link there


def add_formulas(parser: MarkdownIt) -> MarkdownIt:
    """`parser`, which now finds formulas: a `formula` in a line, a `formula_block` of its own."""
    parser.inline.ruler.before("escape", "formula", _in_line)
    interrupted = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "formula_block", _block, {"alt": interrupted})
    return parser


def _in_line(state: StateInline, silent: bool) -> bool:
    opening = _OPENING.match(state.src, state.pos)
    found = opening and _find(state.src, opening)
    if not opening or not found or (opening[0] == "$" and not _is_mathematics(state.src, state.pos, found[1])):
        return False
    written = formula(found[0])
    if written is None:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        written = " ".join(written.split("\n"))
        token.content = f"${written}$" if opening[0] in ("$", r"\(") else f"$${written}$$"
    state.pos = found[1]
    return True


def _block(state: StateBlock, start: int, last: int, silent: bool) -> bool:
    found = None if state.is_code_block(start) else _lines(state, start, last)
    written = found and formula(found[0])
    if not found or not written:
        return False
    if not silent:
        state.line = found[1]
        token = state.push("formula_block", "", 0)
        token.content, token.map, token.block = written, [start, state.line], True
    return True


def _lines(state: StateBlock, start: int, last: int) -> tuple[str, int] | None:
    """The content of a formula that begins the line `start` and ends a line, and the line after it."""
    opening = _OPENING.match(state.src, state.bMarks[start] + state.tShift[start], state.eMarks[start])
    found = opening and _find(state.src, opening)
    if not opening or not found or opening[0] in ("$", r"\("):
        return None
    end = start
    while end < last and not state.isEmpty(end) and state.sCount[end] >= state.blkIndent:
        end += 1
        if state.eMarks[end - 1] >= found[1]:
            break
    text = state.getLines(start, end, state.blkIndent, False).strip()  # without the marks of a list or quotation
    inner = _find(text, _OPENING.match(text) or opening)
    return (inner[0], end) if inner and inner[1] == len(text) else None


def _find(text: str, opening: re.Match[str]) -> tuple[str, int] | None:
    """The content of the formula that `opening` begins, and where it ends."""
    begun = opening[0]
    closing = _CLOSING.get(begun) or begun.replace("begin", "end", 1)
    at = opening.end()
    limit = at + _MOST_CHARACTERS
    while (at := text.find(closing, at, limit)) >= 0 and closing[0] == "$" and _is_escaped(text, at):
        at += 1
    if at < 0:
        return None
    end = at + len(closing)
    return (text[opening.start() : end], end) if begun.startswith(r"\b") else (text[opening.end() : at], end)


def _is_mathematics(text: str, start: int, end: int) -> bool:
    """Whether the dollars around text[start:end] mean mathematics, not money or a variable."""
    content, before, after = text[start + 1 : end - 1], text[start - 1 : start], text[end : end + 1]
    if content != content.strip() or before.isdigit() or after.isdigit():
        return False
    return not after.isalpha() or _TELLTALE.search(content) is not None


def _is_escaped(text: str, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0
