"""How large an image is that stands in a message: read from its head, never decoded, never fetched."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any, cast

_HEAD_CHARS = 1 << 19  # of base64: before its size a JPEG may hold a preview
_KINDS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_MOST_PIXELS = 100_000  # a side; what says more is no image


def image_size(part: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height in pixels of a part of a message, None where it holds no image in itself, or one of no known
    form: what it says of its size is data, and never an error."""
    stated = part.get("image_url")
    url: object = cast("Mapping[str, Any]", stated).get("url") if isinstance(stated, Mapping) else stated
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return None
    text = url[: _HEAD_CHARS + 64].partition("base64,")[2]
    try:
        head = base64.b64decode(text[: len(text) // 4 * 4], validate=False)
    except (binascii.Error, ValueError):
        return None
    return _size(head) if head.startswith(_KINDS) else None


def _size(head: bytes) -> tuple[int, int] | None:
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(head))  # pyright: ignore[reportUnknownMemberType]
    except Exception:  # noqa: BLE001  # a head that leads a reader astray
        return None
    return (width, height) if 0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS else None
