"""FastEmbedEmbedder: fastembed itself, on an ONNX model of one operation that the test writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from r2_router.embedders import Embedder
from r2_router.embedders.fast import FastEmbedEmbedder
from r2_router.errors import EmbedderError

WORDS = ["[PAD]", "[UNK]", "red", "green", "blue"]
TABLE = np.random.default_rng(3).normal(size=(len(WORDS), 8)).astype("<f4")
NAME = "tests/mean-of-words"


def field(number: int, value: bytes | str | int) -> bytes:
    """One protobuf field; all lengths and numbers here are small, or raw data."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def tensor_info(name: str, element: int, *dims: str | int) -> bytes:
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, element) + field(2, shape)))


def onnx_model() -> bytes:
    """last_hidden_state = table[input_ids], as an ONNX ModelProto."""
    float32, int64 = 1, 7
    table = (
        b"".join(field(1, n) for n in TABLE.shape) + field(2, float32) + field(8, "table") + field(9, TABLE.tobytes())
    )
    gather = field(1, "table") + field(1, "input_ids") + field(2, "last_hidden_state") + field(4, "Gather")
    graph = field(1, gather) + field(2, "words") + field(5, table)
    graph += field(11, tensor_info("input_ids", int64, "batch", "tokens"))
    graph += field(12, tensor_info("last_hidden_state", float32, "batch", "tokens", TABLE.shape[1]))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as fastembed caches it, and the model registered under NAME."""
    fastembed = pytest.importorskip("fastembed", reason='`pip install "r2-mcp[fastembed]"`')
    from fastembed.common.model_description import ModelSource, PoolingType
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 64, "pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    (folder / "model.onnx").write_bytes(onnx_model())
    fastembed.TextEmbedding.add_custom_model(
        model=NAME,
        pooling=PoolingType.MEAN,
        normalization=False,
        sources=ModelSource(hf=NAME),
        dim=TABLE.shape[1],
        model_file="model.onnx",
    )
    return folder


def mean_of(*words: str) -> np.ndarray:
    mean = TABLE[[WORDS.index(word) for word in words]].mean(axis=0)
    return mean / np.linalg.norm(mean)


@pytest.mark.slow
def test_vectors_are_the_models(model_path: Path):
    embedder = FastEmbedEmbedder(NAME, model_path=model_path)
    vectors = embedder.embed(["red green", "blue", "blue blue red red green green"])
    assert isinstance(embedder, Embedder)
    assert (embedder.id, embedder.local) == (f"fastembed:{NAME}", True)
    assert vectors.dtype == np.float32
    expected = [mean_of("red", "green"), mean_of("blue"), mean_of("red", "green", "blue")]
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.slow
def test_both_ends_of_a_long_text_count(model_path: Path):
    """The model reads 64 tokens; a text is cut in the middle first, so here by characters alone."""
    embedder = FastEmbedEmbedder(NAME, model_path=model_path)
    embedder.max_chars = 40
    start, end = "red " * 5, " blue" * 4
    np.testing.assert_allclose(
        embedder.embed([start + "green " * 1000 + end]), [mean_of(*["red"] * 5, *["blue"] * 4)], atol=1e-6
    )


def test_no_texts_no_rows(model_path: Path):
    assert len(FastEmbedEmbedder(NAME, model_path=model_path).embed([])) == 0


def test_a_folder_without_a_model(model_path: Path, tmp_path: Path):
    with pytest.raises(EmbedderError, match=f"cannot load {NAME}"):
        FastEmbedEmbedder(NAME, model_path=tmp_path).embed(["red"])


def test_an_unknown_name():
    pytest.importorskip("fastembed", reason='`pip install "r2-mcp[fastembed]"`')
    with pytest.raises(EmbedderError, match=r"cannot load no/such-model .*Check the name"):
        FastEmbedEmbedder("no/such-model").embed(["red"])


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = "from r2_router.embedders.fast import FastEmbedEmbedder\n" + code
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_failed_download_is_one_error_and_no_print(home: Path):
    pytest.importorskip("fastembed", reason='`pip install "r2-mcp[fastembed]"`')
    done = run("FastEmbedEmbedder('BAAI/bge-small-en-v1.5').embed(['x'])", R2_HOME=str(home), HF_HUB_OFFLINE="1")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("r2_router.errors.EmbedderError: fastembed cannot load BAAI/bge-small-en-v1.5")
    assert "FASTEMBED_CACHE_PATH" in last
    assert "| ERROR" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_missing_extra_says_how_to_install():
    """Where fastembed cannot be imported, which `None` in sys.modules brings about."""
    done = run("import sys; sys.modules['fastembed'] = None\nFastEmbedEmbedder('any').embed(['x'])")
    assert 'EmbedderError: fastembed is not installed: `pip install "r2-mcp[fastembed]"`.' in done.stderr
