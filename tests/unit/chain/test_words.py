from __future__ import annotations

import random

import pytest
from eth_abi.abi import decode as by_eth_abi
from eth_abi.abi import encode
from eth_abi.exceptions import DecodingError

from ledger_service.chain import binding, words

CONTENT = "(bytes32,bytes32,bytes32,bytes32,bytes32,address,uint64,uint40,uint24)"
KINDS = [
    ("bytes32",),
    ("address", "bool"),
    ("uint8", "uint16", "uint64", "uint256"),
    (CONTENT,),
    ("bytes32", CONTENT, "uint8"),
    (),
]
MOSTLY = [bytes(32), b"\x01".rjust(32, b"\0"), b"\xff" * 32, b"\xff".rjust(32, b"\0")]


def outcome(decode: object, kinds: tuple[str, ...], data: bytes) -> object:
    assert callable(decode)
    try:
        return tuple(decode(kinds, data))
    except DecodingError:
        return "refused"


@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_every_value_is_read_and_refused_as_eth_abi_does(kinds: tuple[str, ...]) -> None:
    seed = 20261125
    rng = random.Random(seed)  # noqa: S311  a test's choice of words
    seen = set()
    for _ in range(400):
        length = rng.randrange(14)
        data = b"".join(rng.choice([*MOSTLY, rng.randbytes(32)]) for _ in range(length))
        data += rng.randbytes(rng.choice([0, 0, 7]))
        if rng.random() < 0.5:  # what fits: a word of small numbers
            data = b"".join(bytes(31) + bytes([rng.randrange(2)]) for _ in range(length))
        found = outcome(words.decode, kinds, data)
        assert found == outcome(by_eth_abi, kinds, data), f"seed {seed}, {data.hex()}"
        seen.add(found == "refused")

    assert False in seen
    assert seen == {True, False} or kinds == ()


@pytest.mark.parametrize(
    ("kinds", "values"), [(("uint8[]",), ((1, 2),)), (("string", "bytes32"), ("text", bytes(32)))]
)
def test_what_does_not_fill_whole_words_is_left_to_eth_abi(
    kinds: tuple[str, ...], values: tuple[object, ...]
) -> None:
    assert words._readers(kinds) is None
    assert words.decode(kinds, encode(kinds, values)) == values


def test_every_event_of_the_orders_contract_fills_whole_words() -> None:
    for event in binding.orders_interface().events.values():
        for _, kind, _ in event.fields:
            assert words._readers((kind,)) is not None, event.name
