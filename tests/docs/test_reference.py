"""The pages of facts are those of the code: variables, files, commands, options, tools."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import reference as ref
from support.snapshots import assert_snapshot

from r2_magic.options import COMMANDS, map_parser, setup_parser

PAGES = [*sorted(ref.DOCS.glob("*.md")), *sorted(ref.ROOT.glob("*.md"))]
VARIABLE = re.compile(r"\bR2_[A-Z][A-Z_]*[A-Z]\b")


def test_the_pages_are_what_the_code_says() -> None:
    for page, text in ref.pages().items():
        assert_snapshot(page, text, ref.COMMAND)


@cache
def variables_read() -> set[str]:
    return ref.variables_read()


# -- variables and files ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_variable_the_code_reads_is_told_and_no_other() -> None:
    assert set(ref.variables().values()) | set(ref.OTHERS) == variables_read()


def test_every_setting_is_told_and_no_other() -> None:
    assert set(ref.SETTINGS) == set(ref.variables())


def test_the_shipped_defaults_name_every_setting_with_its_variable() -> None:
    text = (ref.ROOT / "config" / "defaults.toml").read_text(encoding="utf-8")
    told = dict(re.findall(r"^(?:# )?(\w+) = .*?# (R2_\w+)", text, re.MULTILINE))
    assert told == ref.variables()


@pytest.mark.slow
def test_every_file_of_the_users_is_told_and_no_other() -> None:
    assert {(folder, name) for folder, name, *_ in ref.FILES} == ref.files_used()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_variable_that_nobody_reads(page: Path) -> None:
    of_tests = VARIABLE.findall((ref.ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8")))
    assert named <= variables_read() | set(of_tests)


# -- commands and options --------------------------------------------------------------------------------------

_OURS = re.compile(r"(?:^|[\s(\"'])(r2-router|r2-mcp|%%?r2)(?=\s|$)([^|;&\n]*)")
_CODE = re.compile(r"^ {4}(.+)$|`([^`\n]+)`", re.MULTILINE)


def code(page: Path) -> Iterator[str]:
    """Every line of code and every piece of code in a sentence."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    for line, inline in _CODE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield line or inline


def wrong(piece: str) -> list[str]:
    """What a piece of code says to our programs that they do not know."""
    if piece.startswith("-"):
        return [word for word in re.findall(r"--[\w-]+", piece) if word not in every_option()]
    return [
        said for program, rest in _OURS.findall(piece) for said in unknown(program, rest.partition(" #")[0].split())
    ]


@cache
def parsers() -> dict[str, argparse.ArgumentParser]:
    return ref.parsers()


@cache
def every_option() -> set[str]:
    below = [parser for name, program in parsers().items() for _, parser in ref.commands(name, program)]
    return {option for parser in below for option in options(parser)}


def unknown(program: str, words: list[str]) -> Iterator[str]:
    parser = parsers()["%%r2" if program.startswith("%") else program]
    known = options(parser)
    below = subcommands(parser)
    for place, word in enumerate(words):
        name = word.strip("\"',.").partition("=")[0]
        if name.startswith("--") or re.fullmatch(r"-[a-z]", name):
            if name != "--" and name not in known:
                yield f"{program} ... {name}"
        elif below and name in below:
            known |= options(below[name])
            below = subcommands(below[name])
        elif place == 0 and re.fullmatch(r"[a-z][a-z-]+", name):
            if program == "%r2" and name in COMMANDS:
                own = {"setup": setup_parser, "map": map_parser}
                known |= options(own[name]()) if name in own else set()
                continue
            if program != "%%r2":
                yield f"{program} {name}"


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(actions[0].choices) if actions else {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_a_page_names_exists(page: Path) -> None:
    assert [said for piece in code(page) for said in wrong(piece)] == []


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("r2-router ask --worht 1", ["r2-router ... --worht"]),
        ('pip install . && r2-router aks "..."', ["r2-router aks"]),
        ("r2-router models pull --refresh X", []),
        ("r2-router route --refresh", ["r2-router ... --refresh"]),
        ("R2_LOG_TEXT=1 r2-router stats --since 7d  # --not ours", []),
        ("%r2 explian", ["%r2 explian"]),
        ("%%r2 -o reply --top 3", []),
        ("uvx --from . r2-mcp --prot 1", ["r2-mcp ... --prot"]),
        ("--worth-eur", ["--worth-eur"]),
        ("vllm serve X --runner pooling", []),
    ],
)
def test_what_does_not_exist_is_found(piece: str, said: list[str]) -> None:
    assert wrong(piece) == said
