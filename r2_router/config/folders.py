"""Where files live: what ships with the package, and the user's own folders; what is a name, and what a path."""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent.parent
_APP = "r2-router"


def shipped(folder: str) -> Path:
    """The folder `checkpoints` or `config`: inside an installed wheel, or beside the code in a checkout."""
    packaged = _PACKAGE / "_data" / folder
    return packaged if packaged.is_dir() else _PACKAGE.parent / folder


def user_config_dir() -> Path:
    """The folder of the user's settings and pool. R2_HOME moves it. It may not exist yet."""
    return _home() or platformdirs.user_config_path(_APP, appauthor=False)


def user_data_dir() -> Path:
    """The folder of fetched checkpoints, weights and the ledger. R2_HOME moves it. It may not exist yet."""
    home = _home()
    return home / "data" if home else platformdirs.user_data_path(_APP, appauthor=False)


def is_path(text: str) -> bool:
    """Whether `text` is the path of a file or folder, and no name of something shipped or of the user's own.

    The folder one happens to be in is no place to look a name up: it may be somebody else's.
    """
    return "/" in text or "\\" in text or text in (".", "..", "~")


def is_pool_file(text: str) -> bool:
    """Whether `text` is the path of a pool's file, and no pool's name."""
    return is_path(text) or text.endswith(".toml")


def spelled(name_or_path: str | os.PathLike[str]) -> str:
    """Text as it is; a path object so that it is told from a name: Path("mine") is ./mine."""
    text = os.fspath(name_or_path)
    return text if isinstance(name_or_path, str) or not text or is_path(text) else os.path.join(".", text)  # noqa: PTH118


def is_own(file: Path) -> bool:
    """Whether `file` lies in the user's configuration folder or is shipped: nobody else put it there."""
    found = file.resolve()
    return any(found.is_relative_to(folder.resolve()) for folder in (user_config_dir(), shipped("config")))


def _home() -> Path | None:
    value = os.environ.get("R2_HOME", "").strip()
    return Path(value).expanduser() if value else None
