"""The pages of facts, written from the code: docs/cli.md, and the tables of configuration.md and mcp.md.

    python docs/reference.py

Run it after an option, a setting, a file of the user's or a tool has changed; tests/docs says when a page is behind.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import blocks
from floors import modules

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
COMMAND = "python docs/reference.py"
SCHEMAS = ROOT / "tests" / "mcp" / "snapshots"

# -- configuration.md ------------------------------------------------------------------------------------------

# What each field of Settings is for. Its variable, kind and default come from the code.
SETTINGS = {
    "pool": "which models, at what price: a name, or a path to a `.toml` file ([pools](pools.md))",
    "checkpoint": "which heads: a name, or a folder ([checkpoints](checkpoints.md))",
    "worth_usd": "what a perfect answer is worth to you, in dollars",
    "lambda_val": "the same as the paper's λ = 1/(1 + worth_usd): 0 quality only, 1 cost only",
    "preset": "the same as a named worth, one of `[presets]`",
    "embedder": "another embedder than the checkpoint's; the heads are only true for theirs",
    "embed_url": "an OpenAI-compatible embedding server",
    "embed_model": "the name that server knows its model by",
    "llm_api_base": "an OpenAI-compatible server that answers for every model, instead of the pool's",
    "models_dir": "a folder of GGUF files you have already",
    "log_text": "keep queries and answers in the ledger, not only their hashes",
    "learn_after": "answers, labels and preferences after which [learning](lab.md#4-use-and-keep-learning) goes on by "
    "itself, where text is kept; 0: never",
    "explore": "the share of answers that may [explore](lab.md#4-use-and-keep-learning), within your limits",
    "max_usd_per_call": "most dollars one call may cost",
    "max_usd_per_day": "most dollars a day (UTC), over all processes of this user",
    "max_usd_per_month": "most dollars a month (UTC), over all processes of this user",
    "confirm_above_usd": "the MCP server, and it alone, asks its user before a call that may cost more ([MCP](mcp.md))",
    "ledger_days": "days of entries the ledger keeps; sums by day stay",
    "first_token_s": "seconds of patience with a model that has not begun to answer",
}

# Variables that are no setting. A key stands in the environment or in keys.toml, never in config.toml.
OTHERS = {
    "R2_HOME": "one folder for all files below: configuration in it, data in `data/`",
    "R2_LLM_API_KEY": "the key of the server at `llm_api_base`; may stand in `keys.toml`",
    "R2_EMBED_API_KEY": "the key of the server at `embed_url`; may stand in `keys.toml`",
    "R2_LEDGER_URL": "`postgresql://USER:PASSWORD@HOST/DATABASE`, where the ledger lies then; may stand in `keys.toml`",
    "R2_GRADED": "set by us for code that the code grader runs, so that what it started can be found and ended",
    "R2_GATEWAY_TOKEN": "what clients of `r2-router serve` send as their API key; see [gateway](gateway.md)",
    "R2_MCP_TOKEN": "what HTTP clients of `r2-mcp` send as `Authorization: Bearer ...`; see [MCP](mcp.md)",
}

# The user's files: folder, name, who makes it, what it holds. Both folders are named by `r2-router doctor`.
FILES = (
    (
        "configuration",
        "config.toml",
        "you",
        "settings and `[presets]`, in the form of the shipped `config/defaults.toml`",
    ),
    ("configuration", "keys.toml", "you; `chmod 600`", 'keys, one `VARIABLE = "key"` a line'),
    ("configuration", "models.toml", "you, or `r2-router models --refresh`", "prices, models added to every pool"),
    ("configuration", "providers.toml", "you", "profiles of providers, before shipped ones ([pools](pools.md))"),
    (
        "configuration",
        "prompt_caches.toml",
        "you",
        "what providers' prompt caches keep and cost, before shipped rules ([chats](conversations.md))",
    ),
    (
        "configuration",
        "part_tokens.toml",
        "you",
        "what images, sounds and files count in tokens, before shipped counts ([chats](conversations.md))",
    ),
    (
        "configuration",
        "pools",
        "you, or `r2-router setup`",
        "`NAME.toml`: pools of your own, before shipped ones of the same name",
    ),
    ("data", "setup", "`r2-router setup`", "`NAME.json`: what it wrote into the pool NAME, to know what you changed"),
    ("data", "checkpoints", "you", "`NAME/`: checkpoints that `--checkpoint NAME` finds"),
    ("data", "release", "`r2-router import release`", "the released files as they were fetched, for the next import"),
    ("data", "models", "`r2-router models pull`", "weights of local models, each checked against its SHA-256"),
    ("data", "ratings.csv", "`r2-router models ratings --from`", "newer public ratings of models than the shipped"),
    ("data", "ledger.sqlite3", "the first decision; mode 600", "decisions, answers' costs, labels; hashes of queries"),
    ("data", "vectors.sqlite3", "the lab; mode 600", "vectors of texts embedded before; may be deleted at any time"),
    ("data", "fastembed", "the embedder `fastembed:...`", "its models, unless FASTEMBED_CACHE_PATH names a folder"),
)

_KINDS = {
    "amount": "dollars",
    "fraction": "0 to 1",
    "flag": "1 or 0",
    "url": "URL",
    "text": "text",
    "count": "0, 1, 2 ...",
    "count_above_zero": "whole number",
    "speed": "seconds",
    "_folder": "folder",
}


def variables() -> dict[str, str]:
    """The environment variables of the settings: field of Settings -> variable."""
    from r2_router.config import settings

    return dict(settings._VARIABLES)


def variables_read() -> set[str]:
    """Every R2_ variable that stands in the code as a text of its own, and those of the settings."""
    named = {
        node.value
        for file in modules().values()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in named if re.fullmatch(r"R2_[A-Z_]+", text)} | set(variables().values())


def files_used() -> set[tuple[str, str]]:
    """What the code reads or writes in the user's folders: (folder, name), as in FILES."""
    folders = {"user_config_dir": "configuration", "user_data_dir": "data"}
    found: set[tuple[str, str]] = set()
    for file in modules().values():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.BinOp(
                    left=ast.Call(func=ast.Name(id=folder)), op=ast.Div(), right=ast.Constant(value=str(name))
                ) if folder in folders:
                    found.add((folders[folder], name))
                case _:
                    pass
    return found


def variables_table() -> str:
    from r2_router.config import settings

    shipped = tomllib.loads((ROOT / "config" / "defaults.toml").read_text(encoding="utf-8"))
    rows = [
        (
            f"`{variable}`",
            f"`{name}`",
            _KINDS[settings._CHECKS[name].__name__],
            _default(shipped.get(name)),
            SETTINGS[name],
        )
        for name, variable in variables().items()
    ]
    rows += [(f"`{variable}`", "-", "text", "-", meaning) for variable, meaning in OTHERS.items()]
    return blocks.table(("variable", "in config.toml", "kind", "default", "meaning"), rows)


def _default(value: object) -> str:
    return "-" if value is None else f"`{json.dumps(value)}`"


def files_table() -> str:
    rows = [(f"`{name}`", folder, made_by, holds) for folder, name, made_by, holds in FILES]
    return blocks.table(("file or folder", "in", "made by", "holds"), rows)


# -- mcp.md ----------------------------------------------------------------------------------------------------


def tools() -> str:
    """Every tool with its arguments, from the snapshots that tests/mcp holds against the server."""
    parts: list[str] = []
    for file in sorted(SCHEMAS.glob("*.json"), key=lambda file: file.stem != "route"):
        tool = json.loads(file.read_text(encoding="utf-8"))
        schema = tool["inputSchema"]
        rows = [
            (f"`{name}`", _kind(argument), _default(argument.get("default")), argument["description"])
            for name, argument in schema["properties"].items()
        ]
        hints = tool["annotations"]
        spends = "only reads" if hints["readOnlyHint"] else "can spend money"
        world = "asks other machines" if hints["openWorldHint"] else "stays on this machine"
        result = ", ".join(f"`{name}`" for name in tool["outputSchema"]["properties"])
        parts += [
            f"### {tool['name']}",
            f"{tool['description']} It {spends} and {world}.",
            blocks.table(("argument", "type", "default", "meaning"), rows),
            f"Result: {result}.",
        ]
    return "\n\n".join(parts)


def _kind(argument: Mapping[str, Any]) -> str:
    low, high = argument.get("minimum"), argument.get("maximum")
    span = f", {low} to {high}" if high is not None else f", at least {low}" if low is not None else ""
    return argument["type"] + span


def resources() -> str:
    """The resources and the prompt, as the server lists them."""
    from r2_mcp.server import create_server

    async def listed() -> list[tuple[str, str]]:
        server = create_server()
        fixed = [(str(each.uri), each.description or "") for each in await server.list_resources()]
        made = [(each.uri_template, each.description or "") for each in await server.list_resource_templates()]
        prompts = [
            (f"prompt {each.name}({', '.join(a.name for a in each.arguments or ())})", each.description or "")
            for each in await server.list_prompts()
        ]
        return [*fixed, *made, *prompts]

    rows = [(f"`{name}`", " ".join(about.split())) for name, about in asyncio.run(listed())]
    return blocks.table(("resource", "what it says"), rows)


def _also(hint: str) -> str:
    if not hint:
        return "-"
    return f"`{hint}`" if " " in hint else "a link that it prints"


def clients() -> str:
    """The clients that `r2-mcp install` knows, and the key of their file that holds servers."""
    from r2_mcp.install import CLIENTS

    rows = [(f"`r2-mcp install {name} --write`", f"`{c.key}`", _also(c.hint(["..."]))) for name, c in CLIENTS.items()]
    return blocks.table(("command", "writes under", "or"), rows)


# -- cli.md ----------------------------------------------------------------------------------------------------

_CLI = f"""\
# Command line

Every command, argument and option, written from the parsers by `{COMMAND}`.
`r2-router COMMAND --help` says the same on a terminal.
"""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The three programs, by what a person types."""
    from r2_magic.options import parser as magic
    from r2_mcp.__main__ import _parser as mcp
    from r2_router.cli import build_parser

    return {"r2-router": build_parser(), "r2-mcp": mcp(), "%%r2": magic()}


def commands(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A program and every command below it: what is typed, and its parser."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from commands(f"{name} {word}", below)


def cli() -> str:
    parts = [_CLI]
    for name, parser in parsers().items():
        for typed, below in commands(name, parser):
            parts.append(_command(typed, below))
    return "\n".join(parts)


def _command(typed: str, parser: argparse.ArgumentParser) -> str:
    depth = "##" if " " not in typed else "###"
    lines = [f"{depth} {typed}", "", _prose(parser.description or ""), ""]
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    rows = [row for action in shown if (row := _row(action, parser))]
    if rows:
        lines += [blocks.table(("argument", "meaning", "default"), rows), ""]
    for group in parser._mutually_exclusive_groups:
        names = [f"`{a.option_strings[0]}`" for a in group._group_actions if a.option_strings]
        lines += [f"At most one of {', '.join(names)}.", ""] if len(names) > 1 else []
    if parser.epilog:
        raw = parser.formatter_class is not argparse.HelpFormatter
        lines += ["```text", parser.epilog.strip("\n"), "```", ""] if raw else [_prose(parser.epilog), ""]
    return "\n".join(lines)


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> tuple[str, str, str] | None:
    if isinstance(action, argparse._SubParsersAction):
        return None
    value = _value(action)
    names = ", ".join(f"`{name}{f' {value}' if value else ''}`" for name in action.option_strings) or f"`{value}`"
    said = "print the version" if isinstance(action, argparse._VersionAction) else (action.help or "")
    said = said % {**vars(action), "prog": parser.prog} if "%(" in said else said.replace("%%", "%")
    given = action.default if action.nargs != 0 and action.default not in (None, [], argparse.SUPPRESS) else None
    if (action.required and action.option_strings) or (not action.option_strings and action.nargs not in ("?", "*")):
        return names, _prose(said), "required"
    return names, _prose(said), "-" if given is None else f"`{given}`"


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    if action.choices is not None:
        return "{" + ",".join(str(choice) for choice in action.choices) + "}"
    return action.dest.upper()


def _prose(text: str) -> str:
    """A help text as Markdown: what would be markup is not."""
    return re.sub(r"(?<!`)([*<])", r"\\\1", " ".join(text.split()))


# -- all of it -------------------------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Every page this writes, as it is now. No setting of whoever runs this shows."""
    ours = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("R2_") and name != "R2_HOME"}
    try:
        known = {
            "variables": variables_table(),
            "files": files_table(),
            "tools": tools(),
            "resources": resources(),
            "clients": clients(),
        }
        partly = [DOCS / "configuration.md", DOCS / "mcp.md"]
        whole = {DOCS / "cli.md": cli()}
    finally:
        os.environ.update(ours)
    return whole | {page: blocks.written(page.read_text(encoding="utf-8"), known) for page in partly}


def main() -> None:
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8", newline="\n")
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
