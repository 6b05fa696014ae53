"""Files in the form of R2-Bench, for a loopback server, with the faults they are known for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from r2_router.lab.importing.r2_bench import REPOSITORY, REVISION
from support.file_server import FileServer, page, whole

COLUMNS = (
    "key", "prompts_id", "original_prompt", "templated_prompt", "golden_answer", "response", "actual_token_count",
    "correctness_score", "judge_raw",
)  # fmt: skip


def prompt(i: int) -> str:
    return f'Question {i}, "quoted", with commas\nand a second line.'


def row(i: int, budget: str = "50", **changes: Any) -> dict[str, Any]:
    return {
        "key": f"k{i}",
        "prompts_id": i,
        "original_prompt": prompt(i),
        "templated_prompt": f"<user>{prompt(i)}",
        "golden_answer": "42",
        "response": "It is\n42.",
        "actual_token_count": 10 + i,
        "correctness_score": (i % 5) / 4,
        "judge_raw": "fine",
        **changes,
    }


def csv_file(rows: Iterable[Mapping[str, Any]], columns: Iterable[str] = COLUMNS) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def data_url(path: str) -> str:
    return f"/datasets/{REPOSITORY}/resolve/{REVISION}/{path}"


def listing_url(more: str = "") -> str:
    return f"/api/datasets/{REPOSITORY}/tree/{REVISION}/data?recursive=true{more}"


def serve(server: FileServer, files: Mapping[str, bytes], *, pages: int = 1) -> str:
    """Serve `files` by path, listed on so many pages; the address of the hub."""
    entries = [{"type": "directory", "path": "data/x"}]
    entries += [{"type": "file", "path": path, "size": len(body)} for path, body in files.items()]
    size = -(-len(entries) // pages)
    for i in range(pages):
        body = json.dumps(entries[i * size : (i + 1) * size]).encode()
        more = f"&cursor={i}" if i else ""
        headers = {"Link": f'<{server.url(listing_url(f"&cursor={i + 1}"))}>; rel="next"'} if i + 1 < pages else {}
        server.on(listing_url(more), page(200, body, **headers))
    for path, body in files.items():
        server.on(data_url(path), whole(body))
    return server.url()
