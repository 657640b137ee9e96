"""JSON as it is hashed: strict reading, RFC 8785 writing, no floats, integers within 2^53."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any, NoReturn

import rfc8785

from ledger_service.domain import errors

MAX_DEPTH = 32
MAX_SAFE_INTEGER = 2**53 - 1
MAX_DIGITS = 20
MAX_BITS = 256

# Strings are dropped before brackets are counted, so that a bracket in a string does not count.
# Possessive, and the closing quote may be missing: a string without end is read once, not once from
# each quote in it.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[{]}"))


def loads(data: bytes) -> Any:
    """Read JSON bytes that will be, or were, hashed.

    Raise MalformedJson (not UTF-8, not RFC 8259, a name twice, deeper than 32, a lone surrogate),
    FloatInHashedPlace or IntegerTooLarge. The depth is bounded before the parser recurses.
    """
    _check_depth(data)
    try:
        value = json.loads(
            data.decode("utf-8", "strict"),
            object_pairs_hook=_unique,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_safe_int,
        )
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate has no UTF-8
    except (ValueError, RecursionError) as exc:
        raise errors.MalformedJson(str(exc)[:200]) from exc
    return value


def dumps(value: Any) -> bytes:
    """Write canonical JSON (RFC 8785). Raise the errors of `loads` for values it would refuse."""
    _check_value(value, 0)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as exc:
        raise errors.MalformedJson(str(exc)) from exc


def digest(value: Any) -> bytes:
    """Return SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(dumps(value)).digest()


def _check_depth(data: bytes) -> None:
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NO_BRACKET):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise errors.MalformedJson("Nested too deeply.", expected=f"at most {MAX_DEPTH}")


def _check_value(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise errors.MalformedJson("Nested too deeply.", expected=f"at most {MAX_DEPTH}")
    match value:
        case float():
            _no_float(repr(value))
        case bool() | str() | None:
            pass
        case int():
            _check_range(value)
        case dict():
            for item in value.values():
                _check_value(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check_value(item, depth + 1)
        case _:
            raise errors.MalformedJson("Not a JSON value.", found=type(value).__name__)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise errors.MalformedJson("A name stands twice in one object.", found=repr(twice[:80]))
    return result


def _no_float(text: str) -> NoReturn:
    raise errors.FloatInHashedPlace(found=text[:40])


def _safe_int(text: str) -> int:
    if len(text) > MAX_DIGITS:  # Python refuses to read some thousands of digits
        raise errors.IntegerTooLarge(found=text[:40], expected=f"at most {MAX_SAFE_INTEGER}")
    return _check_range(int(text))


def _check_range(value: int) -> int:
    if abs(value) > MAX_SAFE_INTEGER:
        found = value if value.bit_length() <= MAX_BITS else f"{value.bit_length()} bits"
        raise errors.IntegerTooLarge(found=found, expected=f"at most {MAX_SAFE_INTEGER}")
    return value
