"""Decoding of values that fill whole words, as the results and events of these contracts do.

eth_abi builds and walks a stream for every value, which under load costs an agent more than its
checks. What this takes for valid, and as what value, is what eth_abi does; a test holds them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from eth_abi.abi import decode as decode_any
from eth_abi.exceptions import DecodingError

WORD = 32
_NUMBER = re.compile(r"uint(\d+)")
Read = Callable[[bytes], Any]


def decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Return the values. Raise DecodingError."""
    readers = _readers(tuple(kinds))
    if readers is None:
        return tuple(decode_any(kinds, data))
    if len(data) < WORD * _width(readers):
        raise DecodingError("Too short.")
    values, _ = _take(readers, data, 0)
    return values


def _take(readers: tuple[Any, ...], data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    values = []
    for read in readers:
        if isinstance(read, tuple):
            value, at = _take(read, data, at)
        else:
            value, at = read(data[at : at + WORD]), at + WORD
        values.append(value)
    return tuple(values), at


def _width(readers: tuple[Any, ...]) -> int:
    return sum(_width(read) if isinstance(read, tuple) else 1 for read in readers)


@cache
def _readers(kinds: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Return what reads each value, a tuple for a tuple; None where one does not fill whole words."""
    found: list[Any] = []
    for kind in kinds:
        read = _readers(_inside(kind)) if _is_flat(kind) else _reader(kind)
        if read is None:
            return None
        found.append(read)
    return tuple(found)


def _is_flat(kind: str) -> bool:
    return kind.startswith("(") and kind.endswith(")") and kind.count("(") == 1


def _inside(kind: str) -> tuple[str, ...]:
    return tuple(kind[1:-1].split(","))


def _reader(kind: str) -> Read | None:
    if kind == "bytes32":
        return bytes
    if kind == "address":
        return _address
    if kind == "bool":
        return _bool
    number = _NUMBER.fullmatch(kind)
    return _number(int(number[1])) if number else None


def _number(bits: int) -> Read:
    def read(word: bytes) -> int:
        value = int.from_bytes(word)
        if value >> bits:
            raise DecodingError(f"More than {bits} bits.")
        return value

    return read


def _address(word: bytes) -> str:
    if any(word[:12]):
        raise DecodingError("Not an address.")
    return "0x" + word[12:].hex()


def _bool(word: bytes) -> bool:
    value = int.from_bytes(word)
    if value > 1:
        raise DecodingError("Neither true nor false.")
    return bool(value)
