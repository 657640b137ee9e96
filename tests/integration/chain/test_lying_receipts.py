"""What is in a block is proven by its header: events left out, changed or made up are found out."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_bloom.bloom import BloomFilter

from ledger_service.chain import proofs
from ledger_service.chain.binding import orders_interface
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import Moved
from ledger_service.domain.listtrie import ListTrie
from ledger_service.domain.tries import EMPTY_ROOT
from tests.integration.chain.liars import CONTRACT, Liar, block_fields, block_of, serving


def moved_log() -> dict[str, Any]:
    """Return a log of the orders contract: some order moved to Proposed."""
    events = orders_interface().events.values()
    moved = next(event for event in events if event.name == "Moved")
    values = {"bytes32": bytes(32), "uint8": 1, "address": "0x" + "00" * 20}
    indexed = [encode([kind], [values[kind]]) for _, kind, index in moved.fields if index]
    plain = [kind for _, kind, index in moved.fields if not index]
    return {
        "address": ids.checksum(CONTRACT),
        "topics": ["0x" + topic.hex() for topic in (moved.topic, *indexed)],
        "data": "0x" + encode(plain, [values[kind] for kind in plain]).hex(),
    }


def receipt_with(*logs: dict[str, Any], name: int = 0) -> dict[str, Any]:
    bloom = BloomFilter()
    for log in logs:
        bloom.add(bytes.fromhex(log["address"][2:]))
    return {
        "transactionHash": f"0x{name:064x}",
        "status": "0x1",
        "cumulativeGasUsed": "0x5208",
        "logsBloom": "0x" + int(bloom).to_bytes(256).hex(),
        "logs": list(logs),
        "type": "0x2",
    }


def block_with(*receipts: dict[str, Any]) -> dict[str, Any]:
    """Return block 9 with these receipts under its header."""
    bloom = 0
    for receipt in receipts:
        bloom |= int(receipt["logsBloom"], 16)
    root = ListTrie([proofs.encode_receipt(receipt) for receipt in receipts]).root
    return block_fields(
        9,
        receiptsRoot="0x" + root.hex(),
        logsBloom="0x" + bloom.to_bytes(256).hex(),
    )


def telling(block: dict[str, Any], receipts: Any) -> Liar:
    """Return a node that has this block, and says this of its receipts."""
    return Liar(block, eth_getBlockReceipts=receipts)


EVENT = moved_log()
HONEST = [receipt_with(), receipt_with(EVENT, EVENT, name=1), receipt_with(EVENT, name=2)]
WRONG_RECEIPTS: dict[str, Any] = {
    "none": [],
    "null": None,
    "an error": {"error": 1},
    "one left out": HONEST[:2],
    "one twice": [*HONEST, HONEST[2]],
    "in another order": HONEST[::-1],
    "an event left out": [HONEST[0], receipt_with(EVENT), HONEST[2]],
    "all events left out": [receipt_with(), receipt_with(), receipt_with()],
    "another event": [*HONEST[:2], receipt_with({**EVENT, "data": "0x" + "01" * 64})],
    "another contract": [*HONEST[:2], receipt_with({**EVENT, "address": "0x" + "0d" * 20})],
    "failed": [*HONEST[:2], {**HONEST[2], "status": "0x0"}],
    "no logs": [{k: v for k, v in HONEST[0].items() if k != "logs"}],
    "no names": [{k: v for k, v in it.items() if k != "transactionHash"} for it in HONEST],
    "short names": [{**it, "transactionHash": "0x07"} for it in HONEST],
    "text": ["text"],
}


@pytest.mark.parametrize("wrong", WRONG_RECEIPTS)
async def test_events_that_were_left_out_or_changed_are_found_out_and_another_node_is_asked(
    wrong: str,
) -> None:
    fields = block_with(*HONEST)
    block, liar = block_of(fields), telling(fields, WRONG_RECEIPTS[wrong])
    async with serving(liar.serve) as alone:
        with pytest.raises(errors.ChainError):
            await alone.facts(block)
    async with serving(liar.serve, telling(fields, HONEST).serve) as ledger:
        found = await ledger.facts(block)

    assert [(it.place.transaction_index, it.place.log_index) for it in found] == [
        (1, 0),
        (1, 1),
        (2, 2),
    ]
    assert [int.from_bytes(it.place.transaction) for it in found] == [1, 1, 2]
    assert {type(it.event) for it in found} == {Moved}


async def test_where_the_header_rules_events_of_ours_out_no_node_is_asked_for_them() -> None:
    fields = block_with(receipt_with({**EVENT, "address": "0x" + "0d" * 20}))
    node = telling(fields, [])
    async with serving(node.serve) as ledger:
        assert await ledger.facts(block_of(fields)) == []

    assert "eth_getBlockReceipts" not in node.asked


HEADER_LIES: list[dict[str, Any]] = [
    {"logsBloom": "0x" + bytes(256).hex()},
    {"receiptsRoot": "0x" + EMPTY_ROOT.hex()},
    {"parentHash": "0x" + "12" * 32},
    {"number": "0xa"},
    {"hash": "0x" + "12" * 32},
    {"timestamp": "0x2"},
]


@pytest.mark.parametrize("lie", HEADER_LIES, ids=lambda lie: next(iter(lie)))
async def test_a_header_that_is_not_what_its_hash_names_is_not_believed(
    lie: dict[str, Any],
) -> None:
    fields = block_with(*HONEST)
    liar = telling({**fields, **lie}, HONEST)
    async with serving(liar.serve) as ledger:
        with pytest.raises(errors.BadProof):
            await ledger.facts(block_of(fields))
        with pytest.raises(errors.BadProof):
            await ledger.block(9)
        with pytest.raises(errors.BadProof):
            await ledger.final_blocks(None, 9, 1)
