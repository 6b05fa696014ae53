"""A folder of two files: a JSON that says what the numbers mean and seals the safetensors beside it, the numbers."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from r2_router.config.safe_files import replace_file
from r2_router.errors import CheckpointError

_MAX_JSON_BYTES = 8 << 20
_MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SealedFolder:
    """One kind of such folder: its file names, the "format" and newest "version" its JSON states, `what` it is called
    in errors, and what helps where it is `missing`."""

    json_name: str
    heads_name: str
    format: str
    version: int
    what: str
    missing: str

    def read(self, folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON and arrays of `folder`. Raises CheckpointError, naming file and fault; what they mean is not checked."""
        meta = self.about(folder)
        return meta, self._read_tensors(folder / self.heads_name, str(meta.get("heads_sha256", "")))

    def write(self, folder: Path, meta: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Path:
        """Write `folder`; each file is replaced whole, the JSON (which seals both) last."""
        from safetensors.numpy import save

        heads = save(dict(tensors))
        head = {"format": self.format, "version": self.version}
        sealed = {**head, **meta, "heads_sha256": hashlib.sha256(heads).hexdigest()}
        text = json.dumps(sealed, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        replace_file(folder / self.heads_name, heads, private=False)
        replace_file(folder / self.json_name, text.encode(), private=False)
        return folder

    def about(self, folder: Path) -> dict[str, Any]:
        """The JSON of `folder`, of a version that is known, and unchecked otherwise. Raises CheckpointError."""
        file = folder / self.json_name
        if not file.is_file():
            raise CheckpointError(f"No {self.what} at {folder}: {self.json_name} is missing. {self.missing}")
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise CheckpointError(f"{file} is larger than {_MAX_JSON_BYTES >> 20} MiB: not a {self.what}.")
        try:
            meta: object = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{file} is not valid JSON: {error}") from None
        if not isinstance(meta, dict) or cast("dict[str, Any]", meta).get("format") != self.format:
            raise CheckpointError(f'{file} is not an R2-Router {self.what} ("format": "{self.format}" is missing).')
        known = cast("dict[str, Any]", meta)
        version = known.get("version")
        if not isinstance(version, int) or version < 1:
            raise CheckpointError(f"{file} names no format version.")
        if version > self.version:
            raise CheckpointError(
                f"{file} is of format version {version}; this r2-mcp reads up to {self.version}. Update with "
                f"`pip install -U r2-mcp`."
            )
        return known

    def _read_tensors(self, file: Path, sha256: str) -> dict[str, NDArray[Any]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        if not file.is_file():
            raise CheckpointError(f"{file} is missing: the {self.what} is incomplete.")
        with file.open("rb") as stream:
            head = stream.read(8)
            if len(head) < 8 or struct.unpack("<Q", head)[0] > _MAX_HEADER_BYTES:
                raise CheckpointError(f"{file} is truncated, or has an unreasonable header.")
            data = head + stream.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise CheckpointError(
                f"{file} is not the file {self.json_name} describes (sha256 differs): it was damaged or swapped. Fetch "
                f"or train the {self.what} again."
            )
        try:
            return load(data)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from None
