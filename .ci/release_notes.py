"""Prints the changelog's section of a release: `python .ci/release_notes.py vX.Y.Z`.

Fails where the tag, pyproject.toml, server.json and CHANGELOG.md do not name the same version.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The section of `tag`. Raises SystemExit, naming the file, where a version differs."""
    version = tag.removeprefix("v")
    server = json.loads((root / "server.json").read_text(encoding="utf-8"))
    named = {
        "pyproject.toml": tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "server.json": server["version"],
        "server.json, packages": server["packages"][0]["version"],
    }
    for file, found in named.items():
        if found != version:
            sys.exit(f"{file} says {found}, the tag says {version}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if section is None or not section[1].strip():
        sys.exit(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with something in it.")
    return section[1].strip()


if __name__ == "__main__":
    print(notes(sys.argv[1]))
