"""Headers, seals and tries made by hand: no shape of them may end in anything but BadProof or BadAnswer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import errors, headers, ids, seals, tries
from ledger_service.domain.headers import Header
from tests.unit.domain.small import few

ITEMS: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=33), lambda inner: st.lists(inner, max_size=18), max_leaves=24
)
VALIDATOR = ids.Address(b"v" * 20)


def header(extra: bytes) -> Header:
    return Header((*[b"\1"] * 12, extra, b"", b""))


def answer(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: "0x1" if kind == headers.NUMBER else "0x00" for name, kind in headers.FIELDS
    }
    return fields | changes


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80", b"\x00", b"abc",
        b"\xc0\x00",  # a byte left over
        b"\xc1", b"\xc2\x80",  # cut off
        b"\xc2\x81\x00", b"\xc2\x81\x7f",  # one byte that needs no length
        b"\xc3\xb8\x01\x80", b"\xf8\x01\x80",  # a long length for a short thing
        b"\xf9\x00\x38" + b"\x80" * 56,  # a length with a leading zero
        b"\xb8", b"\xf8", b"\xff" * 9, b"\xbf" + b"\xff" * 8,
    ],
)  # fmt: skip
def test_rlp_has_one_form_only(data: bytes) -> None:
    with pytest.raises(errors.BadProof, match="RLP"):
        headers.rlp_list(data)


def test_a_tower_of_lists_is_refused_or_read_but_never_ends_the_process() -> None:
    tower = b"\xc0"
    for _ in range(3000):
        size = len(tower)
        length = size.to_bytes((size.bit_length() + 7) // 8)
        head = bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + len(length)]) + length
        tower = head + tower
    for use in (
        lambda: seals.qbft_extra(header(tower)),
        lambda: tries.prove(keccak(tower), b"key", [tower]),
    ):
        with pytest.raises(errors.BadProof):
            use()


@few
@given(st.one_of(st.binary(max_size=40), ITEMS.map(rlp.encode)))
def test_extra_data_of_any_shape_is_no_proof(extra: bytes) -> None:
    for use in (seals.clique_signer, lambda h: seals.check_qbft(h, [VALIDATOR])):
        with pytest.raises(errors.BadProof):
            use(header(extra))


@few
@given(
    st.lists(ITEMS, min_size=5, max_size=5).map(rlp.encode),
)
def test_five_parts_of_any_shape_are_no_proof(extra: bytes) -> None:
    with pytest.raises(errors.BadProof):
        seals.check_qbft(header(extra), [VALIDATOR])


@pytest.mark.parametrize(
    "vote", [[b"a" * 20], [b"a" * 19, b""], [[b"a" * 20], b""], [b"a" * 20, b"", b""], [b""]]
)
def test_votes_of_another_shape_are_refused(vote: list[Any]) -> None:
    with pytest.raises(errors.BadProof):
        seals.qbft_extra(header(rlp.encode([b"", [], vote, b"", []])))


def test_votes_of_qbft_and_clique_are_read() -> None:
    extra = rlp.encode([b"", [], [VALIDATOR, b"\xff"], b"", []])
    fields = list(header(b"").fields)
    fields[2], fields[14] = VALIDATOR, seals.DROP_VOTE

    assert seals.qbft_extra(header(extra)).vote == seals.Vote(VALIDATOR, add=True)
    assert seals.clique_vote(Header(tuple(fields))) == seals.Vote(VALIDATOR, add=False)
    with pytest.raises(errors.BadProof, match="Neither in nor out"):
        seals.clique_vote(Header((*fields[:14], b"\1" * 8)))
    assert seals.clique_vote(Header((*fields[:2], bytes(20), *fields[3:]))) is None


@pytest.mark.parametrize(("validators", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)])  # fmt: skip
def test_two_thirds_must_commit(validators: int, quorum: int) -> None:
    assert seals.qbft_quorum(validators) == quorum


@pytest.mark.parametrize(
    "change",
    [
        {"number": None}, {"number": 5}, {"number": "5"}, {"number": "-0x1"}, {"number": "0x1_0"},
        {"number": " 0x1"}, {"parentHash": "0x0g"}, {"parentHash": "0x0"}, {"parentHash": "0x00 00"},
        {"extraData": []}, {"baseFeePerGas": 7}, {"miner": b"\0"},
    ],
)  # fmt: skip
def test_answers_that_are_no_headers_are_refused(change: dict[str, Any]) -> None:
    assert headers.from_rpc(answer()).number == 1
    with pytest.raises(errors.BadAnswer, match="Not a block header"):
        headers.from_rpc(answer(**change))


@pytest.mark.parametrize("name", [name for name, _ in headers.FIELDS])
def test_an_answer_without_one_of_the_first_fields_is_no_header(name: str) -> None:
    fields = answer()
    del fields[name]

    with pytest.raises(errors.BadAnswer, match=name):
        headers.from_rpc(fields)


def test_fields_of_later_forks_count_where_they_are_not_null() -> None:
    plain, null = headers.from_rpc(answer()), headers.from_rpc(answer(withdrawalsRoot=None))
    london = headers.from_rpc(answer(baseFeePerGas="0x0"))

    assert plain == null
    assert (len(plain.fields), len(london.fields)) == (15, 16)
    assert plain.keccak() != london.keccak()


@few
@given(node=ITEMS, key=st.binary(max_size=3))
def test_a_node_of_any_shape_proves_a_value_or_is_refused(node: Any, key: bytes) -> None:
    encoded = rlp.encode(node)
    uses: list[Callable[..., bytes | int | None]] = [tries.prove, tries.prove_slot]
    for use in uses:
        try:
            found = use(keccak(encoded), key, [encoded])
        except errors.BadProof:
            continue
        assert found != b""


def leaf(key: bytes, value: Any) -> tuple[bytes, bytes]:
    encoded: bytes = rlp.encode([b"\x20" + keccak(key), value])
    return keccak(encoded), encoded


@pytest.mark.parametrize(
    "value",
    [b"x", rlp.encode([]), rlp.encode([b"", b"", b""]), rlp.encode([b"", b"", b"", [b""]]), [b"x", b"y"]],
)  # fmt: skip
def test_a_leaf_that_is_no_account_is_refused(value: Any) -> None:
    root, node = leaf(b"a" * 20, value)

    with pytest.raises(errors.BadProof):
        tries.prove_account(root, b"a" * 20, [node])


@pytest.mark.parametrize("value", [rlp.encode([b"x"]), b"\x81\x00", b"\xa1" + b"x" * 33, [b"x"]])
def test_a_leaf_that_is_no_word_is_refused(value: Any) -> None:
    root, node = leaf(b"s" * 32, value)

    with pytest.raises(errors.BadProof):
        tries.prove_slot(root, b"s" * 32, [node])


def test_what_is_proven_absent_is_zero_or_nobody_and_needs_the_whole_proof() -> None:
    root, node = leaf(b"s" * 32, rlp.encode(b"\x07"))

    assert tries.prove_slot(root, b"s" * 32, [node]) == 7
    assert tries.prove_slot(root, b"t" * 32, [node]) == 0
    assert tries.prove_account(root, b"t" * 20, [node]) is None
    assert tries.prove(tries.EMPTY_ROOT, b"k", []) is None
    for wrong in ([], [node, node], [node[:-1]]):
        with pytest.raises(errors.BadProof):
            tries.prove_slot(root, b"t" * 32, wrong)
    with pytest.raises(errors.BadProof, match="not used"):
        tries.prove(tries.EMPTY_ROOT, b"k", [node])
    with pytest.raises(errors.BadProof, match="absent"):
        tries.prove_item(tries.EMPTY_ROOT, 0, [])


@pytest.mark.parametrize("prefix", [b"", b"\x40x", b"\x01x", b"\xf0", b"\x2fx", [b"\x20"]])
def test_paths_that_are_no_hex_prefix_are_refused(prefix: Any) -> None:
    node = rlp.encode([prefix, b"value"])

    with pytest.raises(errors.BadProof):
        tries.prove(keccak(node), b"x", [node])


def test_the_fields_of_all_forks_stand_in_the_order_in_which_they_were_appended() -> None:
    later = {
        "requestsHash": "0x06",
        "parentBeaconBlockRoot": "0x05",
        "excessBlobGas": "0x4",
        "blobGasUsed": "0x3",
        "withdrawalsRoot": "0x02",
        "baseFeePerGas": "0x1",
    }

    assert headers.from_rpc(answer(**later)).fields[15:] == (
        b"\1",
        b"\2",
        b"\3",
        b"\4",
        b"\5",
        b"\6",
    )
