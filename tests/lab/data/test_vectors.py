"""The cache of vectors: nothing is embedded twice, nothing stale is used, no fault of the file is an error."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_up import DIM, LetterEmbedder

from r2_router.embedders import clip_text
from r2_router.errors import EmbedderError
from r2_router.lab.data.probes import PROBES
from r2_router.lab.data.vectors import cache_file, embed_cached


class Counting(LetterEmbedder):
    """Counts the texts besides the probes."""

    def embed(self, texts):
        vectors = super().embed(texts)
        if tuple(texts) == PROBES:
            self.asked = self.asked[: -len(PROBES)]
        return vectors


class Turned(Counting):
    """Another model behind the same id: the same vectors, their coordinates in another order."""

    def embed(self, texts):
        return np.ascontiguousarray(super().embed(texts)[:, ::-1])


class Noisy(Counting):
    """The same model on a server whose last digits differ from call to call."""

    rng = np.random.default_rng(0)

    def embed(self, texts):
        vectors = super().embed(texts) + self.rng.normal(0, 1e-3, (len(texts), DIM))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


TEXTS = [f"text number {i}" for i in range(600)]


def test_a_second_run_embeds_nothing_and_gives_the_same(home: Path):
    first, second = Counting(), Counting()
    made = embed_cached(first, TEXTS)
    assert cache_file() == home / "data" / "vectors.sqlite3"
    again = embed_cached(second, list(reversed(TEXTS)))
    assert (len(first.asked), second.asked) == (600, [])
    assert made.dtype == again.dtype == np.float32
    np.testing.assert_array_equal(made, LetterEmbedder().embed(TEXTS))
    np.testing.assert_array_equal(again, made[::-1])


def test_new_texts_alone_are_embedded_and_equal_ones_once(tmp_path):
    file = tmp_path / "deep" / "cache"
    embed_cached(Counting(), ["a", "b"], file)
    embedder = Counting()
    vectors = embed_cached(embedder, ["c", "a", "c", "b"], file)
    assert embedder.asked == ["c"]
    np.testing.assert_array_equal(vectors, LetterEmbedder().embed(["c", "a", "c", "b"]))


def test_no_text_is_no_row(tmp_path):
    assert embed_cached(Counting(), [], tmp_path / "cache").shape == (0, DIM)


def test_another_model_behind_the_same_id_gets_no_stale_vector(tmp_path):
    file = tmp_path / "cache"
    embed_cached(Counting(), TEXTS[:5], file)
    turned = Turned()
    np.testing.assert_array_equal(embed_cached(turned, TEXTS[:5], file), LetterEmbedder().embed(TEXTS[:5])[:, ::-1])
    assert len(turned.asked) == 5
    for embedder in (Turned(), Counting()):  # each finds its own again
        embed_cached(embedder, TEXTS[:5], file)
        assert embedder.asked == []


def test_another_id_gets_nothing_of_the_first(tmp_path):
    other = Counting()
    other.id = "other"
    embed_cached(Counting(), ["a"], tmp_path / "cache")
    embed_cached(other, ["a"], tmp_path / "cache")
    assert other.asked == ["a"]


def test_a_servers_last_digits_do_not_empty_the_cache(tmp_path):
    embed_cached(Noisy(), TEXTS[:5], tmp_path / "cache")
    again = Noisy()
    embed_cached(again, TEXTS[:5], tmp_path / "cache")
    assert again.asked == []


def test_without_a_cache_nothing_is_kept(home: Path):
    for _ in range(2):
        embedder = Counting()
        embed_cached(embedder, ["a", "a", "b"], False)
        assert embedder.asked == ["a", "b"]
    assert not (home / "data").exists()


def test_progress_counts_what_was_kept_as_done(tmp_path):
    said: list[tuple[int, int]] = []
    embed_cached(Counting(), TEXTS[:50], tmp_path / "cache")
    embed_cached(Counting(), TEXTS, tmp_path / "cache", lambda done, total: said.append((done, total)))
    assert said[-1] == (600, 600)
    assert said == sorted(said)
    assert said[0][0] > 50


def test_long_texts_are_cut_as_the_router_cuts_them(tmp_path):
    class Strict(Counting):
        max_chars = 20

        def embed(self, texts):
            assert texts == PROBES or all(len(text) <= 20 for text in texts)
            return super().embed(texts)

    long = "begin" + "x" * 500 + "end"
    embedder = Strict()
    embed_cached(embedder, [long, "begin" + "y" * 500 + "end"], tmp_path / "cache")
    assert [text[:5] for text in embedder.asked] == ["begin", "begin"]


def test_half_a_surrogate_and_nothing_at_all_are_texts(tmp_path):
    odd = ["\ud83d", "", "\x00", "é", "🍲"]
    file = tmp_path / "cache"
    first = embed_cached(Counting(), odd, file)
    again = Counting()
    np.testing.assert_array_equal(embed_cached(again, odd, file), first)
    assert again.asked == []


def test_an_embedder_that_fails_half_way_loses_no_batch(tmp_path):
    class Failing(Counting):
        def embed(self, texts):
            if len(self.asked) > 300:
                raise EmbedderError("down")
            return super().embed(texts)

    with pytest.raises(EmbedderError, match="down"):
        embed_cached(Failing(), TEXTS, tmp_path / "cache")
    again = Counting()
    embed_cached(again, TEXTS, tmp_path / "cache")
    assert 0 < len(again.asked) < 300


def test_an_os_error_of_the_embedder_is_not_the_caches(tmp_path):
    class Failing(Counting):
        def embed(self, texts):
            if texts != PROBES:
                raise ConnectionResetError("gone")
            return super().embed(texts)

    with pytest.raises(ConnectionResetError):
        embed_cached(Failing(), ["a"], tmp_path / "cache")


# -- a file that is no good --------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_set_aside(tmp_path, caplog):
    file = tmp_path / "cache"
    file.write_bytes(b"no database at all " * 100)
    with caplog.at_level(logging.WARNING, "r2_router"):
        embed_cached(Counting(), ["a"], file)
    assert "damaged" in caplog.text
    assert (tmp_path / "cache.damaged").read_bytes().startswith(b"no database")
    again = Counting()
    embed_cached(again, ["a"], file)
    assert again.asked == []


def test_pages_that_were_overwritten_are_found_out(tmp_path, caplog):
    file = tmp_path / "cache"
    embed_cached(Counting(), TEXTS, file)
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    with caplog.at_level(logging.WARNING, "r2_router"):
        vectors = embed_cached(Counting(), TEXTS, file)
    np.testing.assert_array_equal(vectors, LetterEmbedder().embed(TEXTS))
    assert "set aside" in caplog.text
    again = Counting()
    embed_cached(again, TEXTS, file)
    assert again.asked == []


def test_a_vector_that_is_none_is_made_again(tmp_path):
    file = tmp_path / "cache"
    embed_cached(Counting(), ["a", "b", "c"], file)
    with sqlite3.connect(file) as db:
        places = [row[0] for row in db.execute("SELECT rowid FROM vectors")]
        bad = (b"short", np.full(DIM, np.nan, dtype="<f4").tobytes(), np.zeros(DIM, dtype="<f4").tobytes())
        for place, blob in zip(places, bad, strict=True):
            db.execute("UPDATE vectors SET vector = ? WHERE rowid = ?", (blob, place))
    db.close()
    embedder = Counting()
    np.testing.assert_array_equal(
        embed_cached(embedder, ["a", "b", "c"], file), LetterEmbedder().embed(["a", "b", "c"])
    )
    assert sorted(embedder.asked) == ["a", "b", "c"]


def test_another_programs_database_is_left_alone(tmp_path, caplog):
    file = tmp_path / "mine.sqlite3"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE vectors (mine)")
    db.close()
    before = file.read_bytes()
    with caplog.at_level(logging.WARNING, "r2_router"):
        assert embed_cached(Counting(), ["a"], file).shape == (1, DIM)
    assert "another program's" in caplog.text
    assert file.read_bytes() == before


def test_a_folder_in_its_place_is_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "r2_router"):
        assert embed_cached(Counting(), ["a"], tmp_path).shape == (1, DIM)
    assert "Vectors are not kept" in caplog.text


# -- several processes, and kills ----------------------------------------------------------------------------------

WORKER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from support.made_up import LetterEmbedder
    from r2_router.lab.data.vectors import embed_cached

    texts = [f"text number {i}" for i in range(int(sys.argv[2]))]
    told = lambda done, total: print(done, flush=True)
    embed_cached(LetterEmbedder(), texts, Path(sys.argv[1]), told)
    """
)


def start(file: Path, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WORKER, str(file), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_several_processes_share_a_new_cache(tmp_path):
    file = tmp_path / "cache"
    workers = [start(file, 1500) for _ in range(4)]
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    embedder = Counting()
    texts = [f"text number {i}" for i in range(1500)]
    np.testing.assert_array_equal(embed_cached(embedder, texts, file), LetterEmbedder().embed(texts))
    assert embedder.asked == []
    with sqlite3.connect(file) as db:
        assert db.execute("SELECT COUNT(*) FROM embedders").fetchone() == (1,)
    db.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_kill_loses_no_committed_batch(tmp_path):
    file = tmp_path / "cache"
    worker = start(file, 200_000)
    assert worker.stdout is not None
    done = int(worker.stdout.readline())
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    embedder = Counting()
    embed_cached(embedder, [f"text number {i}" for i in range(done)], file)
    assert embedder.asked == []


@pytest.mark.slow
@given(st.lists(st.text(st.characters(), max_size=8), max_size=12), st.integers(0, 12))
def test_whatever_was_kept_the_vectors_are_the_embedders(tmp_path_factory, texts, kept):
    file = tmp_path_factory.mktemp("cache") / "cache"
    embed_cached(LetterEmbedder(), texts[:kept], file)
    made = embed_cached(LetterEmbedder(), texts, file)
    read = [clip_text(text, LetterEmbedder.max_chars) for text in texts]  # half a surrogate pair is no text
    expected = LetterEmbedder().embed(read) if read else np.empty((0, DIM))
    np.testing.assert_array_equal(made, expected)
