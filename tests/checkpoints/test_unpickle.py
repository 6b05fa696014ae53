"""Hostile and damaged pickles: each is refused, nothing in it runs."""

from __future__ import annotations

import builtins
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.release_fixture import fit_ridge

from r2_router.checkpoints import unpickle
from r2_router.checkpoints.unpickle import Ridge, load_ridges
from r2_router.errors import CheckpointError

RIDGE = b"\x8c\x1bsklearn.linear_model._ridge\x8c\x05Ridge\x93"
NEW_RIDGE = RIDGE + b")\x81"
WRAPPER = b"\x8c\x13joblib.numpy_pickle\x8c\x11NumpyArrayWrapper\x93)\x81"
F4 = b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f4\x89\x88\x87R"


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value.encode())]) + value.encode()


def pickled(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def dumped(value: object, protocol: int | None = None) -> bytes:
    stream = io.BytesIO()
    joblib.dump(value, stream, protocol=protocol)
    return stream.getvalue()


def array(
    shape: bytes,
    data: bytes = b"",
    *,
    dtype: bytes = F4,
    subclass: bytes = text("numpy") + text("ndarray") + b"\x93",
) -> bytes:
    """joblib's description of an array, then its bytes; `shape`, `dtype`, `subclass` are opcodes."""
    fields = text("subclass") + subclass + text("shape") + shape + text("order") + text("C") + text("dtype") + dtype
    fields += text("allow_mmap") + b"\x88" + text("numpy_array_alignment_bytes") + b"K\x10"
    return WRAPPER + b"}(" + fields + b"ub" + b"\x00" + data


@pytest.fixture(scope="module")
def valid() -> bytes:
    rng = np.random.default_rng(0)
    return dumped({f"{budget}_score": fit_ridge(rng, 4) for budget in (10, 50)})


def refuse(data: bytes, match: str = "Nothing in it was run") -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        load_ridges(data, "heads.joblib")
    assert str(caught.value).startswith("heads.joblib ")
    assert len(str(caught.value)) < 400


# -- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fitted_ridge_comes_back_bit_for_bit(protocol: int, dtype: type) -> None:
    ridge = fit_ridge(np.random.default_rng(1), 5, dtype=dtype)
    read = load_ridges(dumped(ridge, protocol), "heads.joblib")
    assert isinstance(read, Ridge)
    assert set(read.state) == {*ridge.__getstate__()}
    coef: Any = read.state["coef_"]
    assert coef.dtype == dtype
    assert coef.tobytes() == ridge.coef_.tobytes()
    assert read.state["intercept_"] == ridge.intercept_
    assert read.state["alpha"] == 10.0


def test_a_dict_of_ridges_keeps_its_order(valid: bytes) -> None:
    read = load_ridges(valid, "heads.joblib")
    assert isinstance(read, dict)
    assert list(read) == ["10_score", "50_score"]
    assert all(isinstance(ridge, Ridge) for ridge in read.values())


def test_big_endian_numbers_are_read() -> None:
    big = b"(K\x03" + text(">") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    read: Any = load_ridges(pickled(array(b"K\x02\x85", struct.pack(">2f", 1.5, -2.0), dtype=F4 + big)), "x")
    assert read.tolist() == [1.5, -2.0]
    assert read.dtype == np.float32


def test_the_hand_made_array_is_what_joblib_writes() -> None:
    data = pickled(array(b"K\x02\x85", struct.pack("<2f", 1.5, -2.0)))
    assert joblib.load(io.BytesIO(data)).tolist() == [1.5, -2.0]
    read: Any = load_ridges(data, "x")
    assert read.tolist() == [1.5, -2.0]


# -- what would run ------------------------------------------------------------------------------------------


class Runs:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call

    def __call__(self) -> None:
        """Pickle wants a callable first in __reduce__; the call itself is pickled."""


def live_payloads(mark: Path) -> dict[str, object]:
    """Objects that create `mark` when they are unpickled."""
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    return {
        "os.system": Runs(os.system, f"touch '{mark}'"),
        "eval": Runs(eval, code),
        "exec": Runs(exec, code),
        "getattr": Runs(Runs(getattr, Runs(__import__, "os"), "system"), f"touch '{mark}'"),
        "mkdir": Runs(os.mkdir, str(mark)),
        "map": Runs(list, Runs(map, builtins.eval, [code])),
        "in a dict": {"10_score": Runs(eval, code)},
        "as an array": np.array([Runs(eval, code)], dtype=object),
        "in a Ridge": ridge_with("coef_", Runs(eval, code)),
        "in a Ridge's array": ridge_with("coef_", np.array([1.0, Runs(eval, code)], dtype=object)),
        "in a Ridge's name": ridge_with("solver", Runs(eval, code)),
    }


def ridge_with(name: str, value: object) -> object:
    ridge = fit_ridge(np.random.default_rng(2), 3)
    setattr(ridge, name, value)
    return ridge


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("payload", list(live_payloads(Path())))
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path, payload: str, protocol: int) -> None:
    mark = tmp_path / "ran"
    data = dumped(live_payloads(mark)[payload], protocol)
    refuse(data)
    assert not mark.exists()
    joblib.load(io.BytesIO(data))  # the same bytes, read the usual way, do run
    assert mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("evil", "Ridge"),
        ("sklearn.linear_model", "Ridge"),
        ("sklearn.linear_model", "_ridge.Ridge"),
        ("sklearn.linear_model._ridge", "RidgeCV"),
        ("sklearn.linear_model._ridge", "Ridge.__init__.__globals__"),
        ("sklearn.linear_model._ridge", "np.load"),
        ("joblib.numpy_pickle", "load"),
        ("joblib.numpy_pickle", "NumpyArrayWrapper.read"),
        ("numpy", "load"),
        ("numpy", "ndarray.__class__"),
        ("numpy", "matrix"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar.__self__"),
        ("", ""),
        ("\n\x1b[31m" + "x" * 150, "y"),
    ],
)
def test_a_name_outside_the_list_is_refused(module: str, name: str) -> None:
    refuse(pickled(text(module) + text(name) + b"\x93"), "it asks for '")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (RIDGE + b")R", "calls something"),
        (RIDGE + b"}R", "calls something"),
        (text("numpy") + text("ndarray") + b"\x93K\x05\x85R", "calls something"),
        (text("os.system") + text("true") + b"\x85R", "calls something"),
        (RIDGE + text("argument") + b"\x85\x81", "neither a Ridge nor an array"),
        (text("numpy") + text("dtype") + b"\x93)\x81", "neither a Ridge nor an array"),
        (NEW_RIDGE + b"N}" + text("coef_") + b"Ns\x86b", "gives a Ridge a state of type tuple"),
        (NEW_RIDGE + b"Nb", "gives a Ridge a state of type NoneType"),
        (RIDGE + b"}b", "gives a _Name a state of type dict"),
        (text("word") + b"}b", "gives a str a state of type dict"),
        (WRAPPER + b")b", "gives a _Wrapper a state of type tuple"),
        (b"}K\x01K\x02s", "has a dict key of type int"),
        (b"})K\x02s", "has a dict key of type tuple"),
        (NEW_RIDGE + text("k") + b"Ns", "sets items of a Ridge"),
        (b"K\x01K\x02\x93", "names something by a value that is no text"),
        (b"(K\x01\x86", "takes a mark for a value"),
        (b"K\x01K\x02", "has something after its end"),
        (F4.replace(b"f4", b"O8"), "another type than plain numbers"),
        (F4.replace(b"f4", b"V9"), "another type than plain numbers"),
        (F4 + b"(K\x03" + text("|") + b"NNNK\x00tb", "an array type with parts"),
        (F4 + b"(K\x03" + text("<") + b"))NK\x00tb", "an array type with parts"),
        (F4 + b"K\x01\x85b", "truncated or not a joblib file"),
        (
            text("numpy._core.multiarray") + text("scalar") + b"\x93" + F4 + b"C\x03abc\x86R",
            "a number that is not plain",
        ),
        (
            text("numpy._core.multiarray") + text("scalar") + b"\x93N" + b"C\x04abcd\x86R",
            "a number that is not plain",
        ),
        (array(b"K\x02\x85", b"\0" * 8, dtype=F4.replace(b"f4", b"O8")), "another type than plain numbers"),
        (array(b"K\x02\x85", b"\0" * 8, dtype=text("O")), "an array of an unknown type"),
        (array(b"K\x02\x85", b"\0" * 8, subclass=RIDGE), "an array of an unknown type"),
        (array(b"K\x02\x85", b"\0" * 6), "ends in the middle of an array"),
        (array(b"J\x00\x00\x00\x10\x85"), "an array of impossible length"),
        (array(b"J\xff\xff\xff\xff\x85"), "an array of impossible length"),
        (array(b"\x88\x85", b"\0" * 4), "an array of impossible length"),
        (array(text("2") + b"\x85", b"\0" * 8), "an array of impossible length"),
        (array(b")\x85", b"\0" * 8), "an array of impossible length"),
        (array(b")", b"\0" * 4), "an array that is no vector"),
        (array(b"K\x02K\x01\x86", b"\0" * 8), "an array that is no vector"),
        (array(b"K\x02", b"\0" * 8), "an array that is no vector"),
        (b"h\x00", "truncated or not a joblib file"),
        (b"j\xff\xff\xff\xff", "truncated or not a joblib file"),
        (b"\x94", "truncated or not a joblib file"),
        (b"t", "truncated or not a joblib file"),
        (b"}(" + text("odd") + b"u", "truncated or not a joblib file"),
    ],
)
def test_a_misused_pickle_is_refused(body: bytes, fault: str) -> None:
    refuse(pickled(body), fault)


@pytest.mark.parametrize(
    ("body", "opcode"),
    [
        (b"cos\nsystem\n", "GLOBAL"),
        (b"(S'true'\nios\nsystem\n", "STRING"),
        (b"(ios\nsystem\n", "INST"),
        (b"(o", "OBJ"),
        (RIDGE + b")}\x92", "NEWOBJ_EX"),
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x00", "EXT2"),
        (b"\x84\x01\x00\x00\x00", "EXT4"),
        (b"Pid\n", "PERSID"),
        (b"NQ", "BINPERSID"),
        (b"\x97", "NEXT_BUFFER"),
        (b"\x96" + b"\x00" * 8, "BYTEARRAY8"),
        (b"Nr\xff\xff\xff\x7f", "LONG_BINPUT"),
        (b"Np2147483647\n", "PUT"),
        (b"\x8b\x04\x00\x00\x00abcd", "LONG4"),
        (b"L" + b"9" * 4000 + b"L\n", "LONG"),
        (b"](a", "EMPTY_LIST"),
        (b"\x8f", "EMPTY_SET"),
        (b"N2", "DUP"),
    ],
)
def test_an_opcode_joblib_does_not_need_is_refused(body: bytes, opcode: str) -> None:
    refuse(pickled(body), f"opcode {opcode}\\b")


# -- what would cost memory or time --------------------------------------------------------------------------


def test_a_huge_memo_is_refused() -> None:
    refuse(pickled(b"N" + b"\x94" * 200_000), "more than 100000 opcodes")


def test_a_huge_file_is_refused() -> None:
    refuse(b"\x80\x04" + bytes(unpickle.MAX_FILE_BYTES), "larger than 16 MiB")


@pytest.mark.parametrize(
    "length", [b"\x8d" + struct.pack("<Q", 1 << 62), b"X" + struct.pack("<I", 1 << 31), b"\x8c\xff"]
)
def test_a_text_that_claims_more_than_there_is_is_refused(length: bytes) -> None:
    refuse(pickled(length + b"short"))


def test_a_value_that_grows_when_shown_is_not_shown() -> None:
    doubled = b")\x94" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
    refuse(pickled(text("x") + doubled + b"b"), "gives a tuple a state of type tuple")


@pytest.mark.slow
def test_a_deep_value_is_no_trouble() -> None:
    refuse(pickled(b")" + b"\x85" * 90_000 + b")b"), "gives a tuple a state of type tuple")


# -- damage --------------------------------------------------------------------------------------------------


def test_every_truncation_is_refused(valid: bytes) -> None:
    for end in range(len(valid)):
        refuse(valid[:end])


def test_bytes_after_the_end_are_refused(valid: bytes) -> None:
    refuse(valid + b"\x00", "something after its end")


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "lzma", "xz"])
def test_a_compressed_file_is_named(method: str) -> None:
    stream = io.BytesIO()
    joblib.dump({"a": 1}, stream, compress=(method, 3))
    refuse(stream.getvalue(), r"-compressed, which the release is not. Write it again with joblib.dump")


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_any_damage_is_read_as_plain_values_or_refused(valid: bytes, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(valid)
    for at, patch in changes:
        start = at % len(data)
        data[start : start + len(patch)] = patch
    try:
        read = load_ridges(bytes(data), "heads.joblib")
    except CheckpointError:
        return
    assert isinstance(read, (dict, Ridge, str, int, float, bool, bytes, tuple, np.ndarray, np.generic, type(None)))


@given(data=st.binary(max_size=60))
def test_noise_is_refused(data: bytes) -> None:
    try:
        read = load_ridges(b"\x80\x04" + data, "heads.joblib")
    except CheckpointError:
        return
    assert read is None or type(read).__module__ in ("builtins", "r2_router.checkpoints.unpickle")
