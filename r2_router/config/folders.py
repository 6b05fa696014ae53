"""Where files live: what ships with the package, and the user's own folders."""

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


def _home() -> Path | None:
    value = os.environ.get("R2_HOME", "").strip()
    return Path(value).expanduser() if value else None
