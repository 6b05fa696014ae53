"""GgufEmbedder: llama.cpp on a real, small GGUF."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r2_router.embedders import Embedder
from r2_router.embedders import gguf as gguf_module
from r2_router.embedders.gguf import GgufEmbedder
from r2_router.embedders.served import ServerEmbedder
from r2_router.errors import EmbedderError

TEXT = "Name three rivers that flow into the North Sea."


@pytest.fixture(scope="module")
def gguf(smollm2: Path) -> Path:
    return smollm2


@pytest.fixture(scope="module")
def embedder(gguf: Path) -> Iterator[GgufEmbedder]:
    embedder = GgufEmbedder(gguf)
    yield embedder
    embedder.close()


def serve(gguf: Path, pooling: str) -> Any:
    """A llama.cpp server of our own making, with the pooling named."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.embedding = True
    params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling}")
    params.n_ctx = 512
    params.warmup = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = 0
    return xllamacpp.Server(params)


@pytest.mark.slow
def test_last_token_pooling(gguf: Path, embedder: GgufEmbedder):
    """The vector is the last of the text's token vectors; no other token's and not their mean."""
    import httpx

    server = serve(gguf, "NONE")
    answer = httpx.post(f"{server.listening_address}/embedding", json={"content": TEXT}, timeout=60)
    tokens = np.array(answer.raise_for_status().json()[0]["embedding"])
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    assert len(tokens) > 5
    cosines = tokens @ embedder.embed([TEXT])[0]
    assert cosines[-1] > 0.9999
    assert cosines[:-1].max() < 0.99


@pytest.mark.slow
def test_unit_rows_in_order(embedder: GgufEmbedder):
    texts = [TEXT, "def f(x): return x", "河流"]
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, [embedder.embed([text])[0] for text in texts], atol=1e-5)
    assert vectors[0] @ vectors[1] < 0.99


@pytest.mark.slow
def test_agrees_with_the_same_model_behind_http(gguf: Path, embedder: GgufEmbedder):
    """llama.cpp's own /v1/embeddings, through ServerEmbedder."""
    server = serve(gguf, "LAST")
    client = ServerEmbedder(server.listening_address, gguf.name, timeout_s=60)
    served = client.embed([TEXT, "two"])
    client.close()
    np.testing.assert_allclose(served, embedder.embed([TEXT, "two"]), atol=1e-4)


@pytest.mark.slow
def test_empty_and_broken_texts(embedder: GgufEmbedder):
    assert embedder.embed(["", "\ud83d"]).shape == (2, 576)


@pytest.mark.slow
def test_text_longer_than_the_context_is_cut_further(gguf: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gguf_module, "_CONTEXT_TOKENS", 256)
    embedder = GgufEmbedder(gguf)
    plain, with_end = embedder.embed(["😀🏽‍🚀 " * 250_000, "😀🏽‍🚀 " * 250_000 + TEXT])
    embedder.close()
    assert plain @ with_end < 0.999  # its end still counts


@pytest.mark.slow
def test_threads_share_it(embedder: GgufEmbedder):
    texts = [f"{i} rivers" for i in range(4)]
    rows: dict[int, np.ndarray] = {}

    def embed(i: int) -> None:
        rows[i] = embedder.embed([texts[i]])[0]

    threads = [threading.Thread(target=embed, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    np.testing.assert_allclose([rows[i] for i in range(4)], embedder.embed(texts), atol=1e-5)


def test_is_an_embedder_under_the_name_it_is_given(gguf: Path):
    named = GgufEmbedder(gguf, id="Qwen/Qwen3-0.6B")
    assert isinstance(named, Embedder)
    assert (named.id, named.local) == ("Qwen/Qwen3-0.6B", True)
    assert GgufEmbedder(gguf).id == f"gguf:{gguf}"


def test_no_texts_load_nothing(gguf: Path):
    assert len(GgufEmbedder(gguf).embed([])) == 0


@pytest.mark.slow
def test_a_process_with_an_embedder_ends_quietly(gguf: Path):
    code = f"from r2_router.embedders.gguf import GgufEmbedder; print(GgufEmbedder({str(gguf)!r}).embed(['x']).shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("(1, 576)\n", "")


def test_no_such_file(tmp_path: Path):
    with pytest.raises(EmbedderError, match="There is no GGUF file at"):
        GgufEmbedder(tmp_path / "missing.gguf")


@pytest.mark.parametrize("content", [b"", b"not a gguf", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_file_that_is_no_gguf(tmp_path: Path, content: bytes):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(EmbedderError, match="damaged, not a GGUF"):
        GgufEmbedder(tmp_path / "bad.gguf").embed(["x"])


@pytest.mark.slow
def test_missing_extra_says_how_to_install(tmp_path: Path):
    """Where llama.cpp cannot be imported, which `None` in sys.modules brings about."""
    (tmp_path / "any.gguf").write_bytes(b"GGUF")
    code = (
        "import sys; sys.modules['xllamacpp'] = None\n"
        "from r2_router.embedders.gguf import GgufEmbedder\n"
        "GgufEmbedder(sys.argv[1]).embed(['x'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "any.gguf")], capture_output=True, text=True, check=False
    )
    assert 'EmbedderError: GGUF embedders need llama.cpp: `pip install "r2-mcp[local]"`.' in done.stderr
