from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import errors, merkle
from tests.unit.domain.small import few

LEAVES = [merkle.leaf_hash(bytes([i])) for i in range(33)]


@few
@given(size=st.integers(1, 33), data=st.data())
def test_every_leaf_is_proven_and_nothing_else_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    path = merkle.inclusion_path(leaves, index)
    root = merkle.tree_root(leaves)

    assert merkle.root_from_path(leaves[index], index, size, path) == root
    for other in set(range(size)) - {index}:
        assert merkle.root_from_path(leaves[other], index, size, path) != root


@few
@given(size=st.integers(1, 33), data=st.data())
def test_a_spoiled_path_never_leads_to_the_root(size: int, data: st.DataObject) -> None:
    index, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 255))
    path, root = merkle.inclusion_path(LEAVES[:size], index), merkle.tree_root(LEAVES[:size])
    spoiled = [path[:-1], [*path, LEAVES[0]], path[::-1] if len(path) > 1 else [*path, *path, root]]
    if path:
        flipped = int.from_bytes(path[0]) ^ 1 << bit
        spoiled.append([flipped.to_bytes(32), *path[1:]])

    for wrong in spoiled:
        if wrong == path:
            continue
        with contextlib.suppress(errors.BadProof):
            assert merkle.root_from_path(LEAVES[index], index, size, wrong) != root


def test_a_leaf_cannot_pass_for_a_node_or_a_node_for_a_leaf() -> None:
    pair = merkle.node_hash(LEAVES[0], LEAVES[1])

    assert merkle.leaf_hash(LEAVES[0] + LEAVES[1]) != pair
    assert merkle.tree_root([pair]) == merkle.tree_root(LEAVES[:2])  # so sizes belong to a proof
    with pytest.raises(errors.BadProof, match="too short"):
        merkle.root_from_path(pair, 0, 2, [])


def test_an_empty_tree_has_the_hash_of_nothing_and_proves_nothing() -> None:
    assert merkle.tree_root([]) == merkle.EMPTY_ROOT
    with pytest.raises(errors.BadProof, match="outside"):
        merkle.root_from_path(merkle.EMPTY_ROOT, 0, 0, [])
    with pytest.raises(errors.BadProof, match="outside"):
        merkle.inclusion_path([], 0)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, -1), (2**64, 2**64)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(errors.BadProof, match="outside"):
        merkle.root_from_path(LEAVES[0], index, size, [])
    with pytest.raises(errors.BadProof, match="outside"):
        merkle.inclusion_path(LEAVES[:3], index or 3)


@pytest.mark.parametrize("node", [b"", b"\0" * 31, b"\0" * 33, b"\0" * 64])
def test_nodes_that_are_no_hashes_are_refused(node: bytes) -> None:
    with pytest.raises(errors.BadProof, match="not a hash"):
        merkle.root_from_path(LEAVES[0], 0, 2, [node])
    with pytest.raises(errors.BadProof, match="not a hash"):
        merkle.root_from_path(node, 0, 2, [LEAVES[1]])


def test_a_tree_larger_than_any_memory_is_followed_along_its_path() -> None:
    path = [LEAVES[0]] * 63

    assert len(merkle.root_from_path(LEAVES[1], 0, 2**63, path)) == 32
    with pytest.raises(errors.BadProof, match="too long"):
        merkle.root_from_path(LEAVES[1], 0, 2**63, [*path, LEAVES[0]])
