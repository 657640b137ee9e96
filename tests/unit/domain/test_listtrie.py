from __future__ import annotations

import random

import pytest
import rlp
from trie.hexary import HexaryTrie

from ledger_service.domain import errors, tries
from ledger_service.domain.listtrie import ListTrie


@pytest.mark.parametrize("count", [0, 1, 2, 3, 15, 16, 17, 127, 128, 129, 130, 255, 256, 257, 400])
def test_it_is_the_trie_that_others_make_and_proves_each_item(count: int) -> None:
    seed = random.randrange(2**32)  # noqa: S311  no secret
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  no secret
    items = [chance.randbytes(chance.choice([1, 5, 20, 31, 32, 300])) for _ in range(count)]
    theirs = HexaryTrie({})
    for index, item in enumerate(items):
        theirs[rlp.encode(index)] = item

    ours = ListTrie(items)

    assert ours.root == theirs.root_hash
    for index, item in enumerate(items):
        proof = ours.proof(index)
        assert tries.prove_item(ours.root, index, proof) == item
        with pytest.raises(errors.BadProof):
            tries.prove_item(ours.root, index, [*proof[:-1], proof[-1] + b"\1"])


def test_another_item_another_order_or_one_fewer_has_another_root() -> None:
    items = [bytes([number]) * 40 for number in range(200)]
    roots = {
        ListTrie(it).root
        for it in (items, items[::-1], items[:-1], [*items, b""], [*items[:-1], b"\1"], items * 2)
    }

    assert len(roots) == 6
