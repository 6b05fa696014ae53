"""The size of an image in a message is read from its head; what it says is data, whatever it is."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2_router.routing.image_size import image_size


def png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg(width: int, height: int, preview: int = 0) -> bytes:
    segments = [b"\xff\xe1" + struct.pack(">H", 60_002) + bytes(60_000)] * preview
    size = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + b"".join(segments) + size


def webp(width: int, height: int) -> bytes:
    body = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def part(data: bytes, kind: str = "png") -> dict[str, Any]:
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    "data", [png(640, 480), gif(640, 480), jpeg(640, 480), jpeg(640, 480, preview=5), webp(640, 480)]
)
def test_four_forms(data: bytes) -> None:
    assert image_size(part(data)) == (640, 480)
    assert image_size({"type": "image_url", "image_url": part(data)["image_url"]["url"]}) == (640, 480)


@pytest.mark.parametrize(
    "given_part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},  # never fetched
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": {"url": 5}},
        {"type": "image_url", "image_url": None},
        {"type": "input_audio"},
        part(b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "svg+xml"),
        part(png(0, 9)),
        part(png(2**31 - 1, 9)),
    ],
)
def test_what_tells_no_size_has_none(given_part: dict[str, Any]) -> None:
    assert image_size(given_part) is None


@given(st.sampled_from([b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b""]), st.binary(max_size=200))
def test_no_head_does_harm(start: bytes, rest: bytes) -> None:
    found = image_size(part(start + rest))
    assert found is None or (found[0] > 0 and found[1] > 0)


@given(st.text(max_size=80))
def test_no_address_does_harm(text: str) -> None:
    image_size({"image_url": {"url": f"data:image/{text}"}})
