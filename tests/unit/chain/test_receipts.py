from __future__ import annotations

import random
from typing import Any

import pytest

from ledger_service.chain.proofs import Receipts, encode_receipt
from ledger_service.domain import errors, ids, tries
from ledger_service.domain.headers import Header
from ledger_service.domain.listtrie import ListTrie

ORDERS = [ids.OrderId(bytes([n]) * 32) for n in range(1, 6)]
CONTRACT, OTHER = (ids.Address(bytes([n]) * 20) for n in (7, 8))
SIGNATURE = "0x" + "ee" * 32


def log(contract: ids.Address, *topics: bytes) -> dict[str, Any]:
    words = ["0x" + topic.hex() for topic in topics]
    return {"address": "0x" + contract.hex(), "topics": [SIGNATURE, *words], "data": "0x01"}


def receipt(number: int, logs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "transactionHash": f"0x{number:064x}",
        "status": "0x1",
        "cumulativeGasUsed": hex(21_000 * (number + 1)),
        "logsBloom": "0x" + "00" * 256,
        "logs": logs,
        "type": "0x2",
    }


def header(told: list[dict[str, Any]]) -> Header:
    fields = [b""] * 15
    fields[5] = ListTrie([encode_receipt(item) for item in told]).root
    return Header(tuple(fields))


def block_of_batches() -> list[dict[str, Any]]:
    """Return receipts with events of many orders each, of two contracts, and with none."""
    first, second, third, fourth, _ = ORDERS
    return [
        receipt(0, [log(CONTRACT, first), log(CONTRACT, second), log(CONTRACT, first)]),
        receipt(1, []),
        receipt(2, [log(OTHER, first), log(CONTRACT, second), log(CONTRACT)]),
        receipt(3, [log(CONTRACT, bytes(32), fourth), log(CONTRACT, third)]),
    ]


@pytest.mark.parametrize(
    ("order", "indices"),
    [(0, ["0"]), (1, ["0", "2"]), (2, ["3"]), (3, []), (4, [])],
    ids=["twice in one", "in two", "behind another", "as a later topic", "not there"],
)
def test_an_order_is_proven_by_all_receipts_that_have_its_events_and_no_other(
    order: int, indices: list[str]
) -> None:
    told = block_of_batches()
    top = header(told)

    found = Receipts(top, told).prove(CONTRACT, ORDERS[order])

    assert list(found) == indices
    for index, nodes in found.items():
        proof = [bytes.fromhex(node) for node in nodes]
        item = tries.prove_item(top.receipts_root, int(index), proof)
        assert item == encode_receipt(told[int(index)])


def test_the_index_finds_what_a_look_at_every_event_would() -> None:
    seed = random.randrange(2**32)  # noqa: S311  no secret
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  no secret
    told = [
        receipt(
            number,
            [
                log(chance.choice([CONTRACT, OTHER]), *chance.sample(ORDERS, chance.randint(0, 2)))
                for _ in range(chance.randint(0, 6))
            ],
        )
        for number in range(40)
    ]
    receipts = Receipts(header(told), told)

    for order in ORDERS:
        about = {log(CONTRACT, order)["topics"][1]}
        expected = [
            str(number)
            for number, item in enumerate(told)
            if any(
                each["address"] == "0x" + CONTRACT.hex() and about & set(each["topics"][1:2])
                for each in item["logs"]
            )
        ]
        assert list(receipts.prove(CONTRACT, order)) == expected


def test_receipts_of_another_block_are_refused() -> None:
    told = block_of_batches()

    with pytest.raises(errors.BadProof):
        Receipts(header(told), told[:-1])
