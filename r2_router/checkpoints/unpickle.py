"""Reads a joblib file of fitted Ridge regressors without running what is in it.

A pickle is a program: its opcodes may import any name and call it. Here they are interpreted over inert
values. A name stays a name and is never imported; only the few names a fitted Ridge is made of are known, and
each can be used in one way. Everything else is refused, and so is what would take much memory or time.

joblib writes each numpy array as a description in the pickle followed by its raw bytes, so the two are read
from one stream. Neither joblib nor scikit-learn is needed, in any version.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from r2_router.errors import CheckpointError

MAX_FILE_BYTES = 16 << 20
_MAX_OPCODES = 100_000  # a released file has about 1,000
_MAX_VALUES = 1 << 20  # of one array

_RIDGE = ("sklearn.linear_model._ridge", "Ridge")
_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_NDARRAY = ("numpy", "ndarray")
_DTYPE = ("numpy", "dtype")
_SCALARS = (("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar"))
_KNOWN = frozenset({_RIDGE, _WRAPPER, _NDARRAY, _DTYPE, *_SCALARS})
_DTYPES = frozenset({"f4", "f8", "i4", "i8"})

_COMPRESSED = {
    b"x": "zlib",
    b"\x1f\x8b": "gzip",
    b"BZ": "bzip2",
    b"\xfd7zXZ": "xz",
    b"]\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
}


@dataclass(slots=True, eq=False)
class Ridge:
    """What a fitted sklearn.linear_model.Ridge holds, by attribute name; nothing of it can be called."""

    state: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class _Name:
    """A module and a name in it, both known, neither imported."""

    path: tuple[str, str]

    @classmethod
    def of(cls, value: object) -> tuple[str, str] | None:
        return value.path if isinstance(value, cls) else None


@dataclass(slots=True, eq=False)
class _DType:
    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Wrapper:
    """joblib's description of an array, before its state is known."""


class _Mark:
    """The pickle machine's own marker on the stack."""


class _RefusedError(Exception):
    """What the pickle wants that is not allowed."""


def load_ridges(data: bytes, source: str) -> object:
    """The value pickled in `data`: a Ridge, or a dict of plain values and Ridges.

    Raises CheckpointError, naming `source`, for anything else a pickle can hold; nothing is executed.
    """
    again = "Nothing in it was run. `r2-router import release --output DIR` fetches the released files."
    if len(data) > MAX_FILE_BYTES:
        raise CheckpointError(f"{source} is larger than {MAX_FILE_BYTES >> 20} MiB: not a released file. {again}")
    for magic, method in _COMPRESSED.items():
        if data.startswith(magic):
            raise CheckpointError(
                f"{source} is {method}-compressed, which the release is not. Write it again with "
                f"joblib.dump(..., compress=0)."
            )
    try:
        return _Machine(data).run()
    except _RefusedError as fault:
        raise CheckpointError(f"{source} is refused: it {fault}. {again}") from None
    except (ValueError, LookupError) as error:
        raise CheckpointError(f"{source} is truncated or not a joblib file ({type(error).__name__}). {again}") from None


class _Machine:
    """The pickle machine: a stack, a memo, and the opcodes joblib uses for Ridge; its values never act."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._stack: list[object] = []
        self._memo: list[object] = []

    def run(self) -> object:
        from pickletools import genops

        for count, (opcode, argument, _) in enumerate(genops(self._stream)):
            operation = _OPERATIONS.get(opcode.name)
            if operation is None:
                raise _RefusedError(f"uses the pickle opcode {opcode.name}")
            if count >= _MAX_OPCODES:
                raise _RefusedError(f"has more than {_MAX_OPCODES} opcodes")
            operation(self, argument)
        if len(self._stack) != 1 or self._stream.read(1):
            raise _RefusedError("has something after its end")
        return self._stack[0]

    # -- the stack

    def push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        value = self._stack.pop()
        if isinstance(value, _Mark):
            raise _RefusedError("takes a mark for a value")
        return value

    def _pop_to_mark(self) -> list[object]:
        values: list[object] = []
        while not isinstance(value := self._stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def tuple_of(self, count: int) -> None:
        self.push(tuple([self._pop() for _ in range(count)][::-1]))

    def tuple_to_mark(self) -> None:
        self.push(tuple(self._pop_to_mark()))

    def set_items(self, *, marked: bool) -> None:
        values = self._pop_to_mark() if marked else [self._pop(), self._pop()][::-1]
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise _RefusedError(f"sets items of a {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str):
                raise _RefusedError(f"has a dict key of type {type(key).__name__}")
            cast("dict[str, object]", target)[key] = value

    def memoize(self) -> None:
        self._memo.append(self._stack[-1])

    def get(self, index: int) -> None:
        self.push(self._memo[index])

    # -- what would import, call or fill an object

    def name(self) -> None:
        name, module = self._pop(), self._pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise _RefusedError("names something by a value that is no text")
        if (module, name) not in _KNOWN:
            raise _RefusedError(f"asks for {f'{module}.{name}'[:80]!r}")
        self.push(_Name((module, name)))

    def new(self) -> None:
        arguments, path = self._pop(), _Name.of(self._pop())
        if isinstance(arguments, tuple) and not arguments and path == _RIDGE:
            self.push(Ridge())
        elif isinstance(arguments, tuple) and not arguments and path == _WRAPPER:
            self.push(_Wrapper())
        else:
            raise _RefusedError("makes an object that is neither a Ridge nor an array")

    def call(self) -> None:
        arguments, path = self._pop(), _Name.of(self._pop())
        if isinstance(arguments, tuple) and path == _DTYPE:
            self.push(_dtype(cast("tuple[object, ...]", arguments)))
        elif isinstance(arguments, tuple) and path in _SCALARS:
            self.push(_scalar(cast("tuple[object, ...]", arguments)))
        else:
            raise _RefusedError("calls something that is neither a dtype nor a number")

    def build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, Ridge) and isinstance(state, dict):
            target.state = cast("dict[str, object]", state)
        elif isinstance(target, _Wrapper) and isinstance(state, dict):
            self._stack[-1] = self._array(cast("dict[str, object]", state))
        elif isinstance(target, _DType) and isinstance(state, tuple):
            _set_order(target, cast("tuple[object, ...]", state))
        else:
            raise _RefusedError(f"gives a {type(target).__name__} a state of type {type(state).__name__}")

    # -- arrays

    def _array(self, state: Mapping[str, object]) -> NDArray[Any]:
        """The vector whose bytes follow the pickle's description of it."""
        shape, dtype, padding = state["shape"], state["dtype"], state.get("numpy_array_alignment_bytes")
        if _Name.of(state["subclass"]) != _NDARRAY or not isinstance(dtype, _DType):
            raise _RefusedError("has an array of an unknown type")
        if not isinstance(shape, tuple) or len(cast("tuple[object, ...]", shape)) != 1:
            raise _RefusedError("has an array that is no vector")
        length = cast("tuple[object]", shape)[0]
        if type(length) is not int or not 0 <= length <= _MAX_VALUES:
            raise _RefusedError("has an array of impossible length")
        if padding is not None:
            self._take(self._take(1)[0])
        numpy_dtype = dtype.numpy()
        array = np.frombuffer(self._take(length * numpy_dtype.itemsize), numpy_dtype)
        return array.astype(numpy_dtype.newbyteorder("="))

    def _take(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) != count:
            raise _RefusedError("ends in the middle of an array")
        return data


def _dtype(arguments: tuple[object, ...]) -> _DType:
    code = arguments[0] if arguments else None
    if not isinstance(code, str) or code not in _DTYPES or arguments[1:] != (False, True):
        raise _RefusedError("has an array of another type than plain numbers")
    return _DType(code)


def _set_order(dtype: _DType, state: tuple[object, ...]) -> None:
    """numpy's state of a dtype: version, byte order, then None thrice unless it has parts."""
    order = state[1]
    if not isinstance(order, str) or order not in ("<", ">") or any(part is not None for part in state[2:5]):
        raise _RefusedError("has an array type with parts")
    dtype.order = order


def _scalar(arguments: tuple[object, ...]) -> np.generic:
    dtype, data = arguments
    if not isinstance(dtype, _DType) or not isinstance(data, bytes) or len(data) != dtype.numpy().itemsize:
        raise _RefusedError("has a number that is not plain")
    return np.frombuffer(data, dtype.numpy())[0]


_PUSHED = ("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BININT", "BININT1", "BININT2", "BINFLOAT")
_OPERATIONS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, argument: None,
    "FRAME": lambda machine, argument: None,
    "STOP": lambda machine, argument: None,
    **dict.fromkeys(_PUSHED, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(_Mark()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.tuple_to_mark(),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "SETITEM": lambda machine, _: machine.set_items(marked=False),
    "SETITEMS": lambda machine, _: machine.set_items(marked=True),
    "MEMOIZE": lambda machine, _: machine.memoize(),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "STACK_GLOBAL": lambda machine, _: machine.name(),
    "NEWOBJ": lambda machine, _: machine.new(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
