"""The JSON of blocks, transactions, receipts and logs, field for field as geth 1.13 gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import rlp
from eth._utils.address import generate_contract_address
from eth_typing import Address

from validators.network.embedded.blocks import Block, Mined, Pending

_EMPTY_TO = b""
_DYNAMIC_FEE = 2  # EIP-1559
_V = 6  # its place in a legacy transaction
_LIST = 0xC0  # where RLP lists begin: a legacy transaction is one (EIP-2718)


def data(raw: bytes) -> str:
    """Return unformatted data: two digits per byte."""
    return "0x" + raw.hex()


def header_json(block: Block) -> dict[str, Any]:
    """Return a header as `newHeads` gives it."""
    h = block.header
    return {
        "number": hex(h.block_number),
        "hash": data(block.hash),
        "parentHash": data(h.parent_hash),
        "nonce": data(h.nonce),
        "mixHash": data(h.mix_hash),
        "sha3Uncles": data(h.uncles_hash),
        "logsBloom": f"0x{h.bloom:0512x}",
        "transactionsRoot": data(h.transaction_root),
        "stateRoot": data(h.state_root),
        "receiptsRoot": data(h.receipt_root),
        "miner": data(h.coinbase),
        "difficulty": hex(h.difficulty),
        "extraData": data(h.extra_data),
        "gasLimit": hex(h.gas_limit),
        "gasUsed": hex(h.gas_used),
        "timestamp": hex(h.timestamp),
        "baseFeePerGas": hex(h.base_fee_per_gas or 0),
    }


def block_json(block: Block, *, full: bool) -> dict[str, Any]:
    """Return a block, with whole transactions or their hashes."""
    return {
        **header_json(block),
        "totalDifficulty": hex(block.number + 1),
        "size": hex(_size(block)),
        "uncles": [],
        "transactions": [
            transaction_json(m.pending, block, m.index) if full else data(m.pending.hash)
            for m in block.mined
        ],
    }


def transaction_json(
    pending: Pending, block: Block | None = None, index: int | None = None
) -> dict[str, Any]:
    """Return a transaction; without a block it is one that waits."""
    body = pending.body
    kind = _type(pending)
    fees: dict[str, Any] = {"gasPrice": hex(_price(pending, block))}
    if kind == _DYNAMIC_FEE:
        fees |= {
            "maxFeePerGas": hex(body.max_fee_per_gas),
            "maxPriorityFeePerGas": hex(body.max_priority_fee_per_gas),
        }
    if kind:
        fees |= {"accessList": _access_list(pending), "yParity": hex(body.y_parity)}
    return {
        "blockHash": data(block.hash) if block else None,
        "blockNumber": hex(block.number) if block else None,
        "transactionIndex": None if index is None else hex(index),
        "from": data(pending.sender),
        "gas": hex(body.gas),
        "hash": data(pending.hash),
        "input": data(body.data),
        "nonce": hex(body.nonce),
        "to": None if body.to == _EMPTY_TO else data(body.to),
        "value": hex(body.value),
        "type": hex(kind),
        "chainId": None if body.chain_id is None else hex(body.chain_id),
        "v": hex(body.y_parity if kind else _legacy_v(pending)),
        "r": hex(body.r),
        "s": hex(body.s),
        **fees,
    }


def receipt_json(block: Block, mined: Mined) -> dict[str, Any]:
    """Return a receipt with its logs."""
    pending, receipt = mined.pending, mined.receipt
    body = pending.body
    created = body.to == _EMPTY_TO
    address = generate_contract_address(Address(pending.sender), body.nonce) if created else None
    return {
        "blockHash": data(block.hash),
        "blockNumber": hex(block.number),
        "contractAddress": data(address) if address else None,
        "cumulativeGasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(_price(pending, block)),
        "from": data(pending.sender),
        "gasUsed": hex(mined.gas_used),
        "logs": list(logs_json(block, mined)),
        "logsBloom": f"0x{receipt.bloom:0512x}",
        "status": hex(int.from_bytes(receipt.state_root, "big")),
        "to": None if created else data(body.to),
        "transactionHash": data(pending.hash),
        "transactionIndex": hex(mined.index),
        "type": hex(_type(pending)),
    }


def logs_json(block: Block, mined: Mined) -> Iterator[dict[str, Any]]:
    """Yield the logs of one transaction."""
    for offset, entry in enumerate(mined.receipt.logs):
        yield {
            "address": data(entry.address),
            "topics": [f"0x{topic:064x}" for topic in entry.topics],
            "data": data(entry.data),
            "blockNumber": hex(block.number),
            "transactionHash": data(mined.pending.hash),
            "transactionIndex": hex(mined.index),
            "blockHash": data(block.hash),
            "logIndex": hex(mined.first_log + offset),
            "removed": False,
        }


def _legacy_v(pending: Pending) -> int:
    return int.from_bytes(rlp.decode(pending.raw)[_V], "big")


def _type(pending: Pending) -> int:
    return pending.raw[0] if pending.raw[0] < _LIST else 0


def _price(pending: Pending, block: Block | None) -> int:
    """Return what a unit of gas costs: with a block the effective price, else the maximum."""
    body = pending.body
    if block is None:
        return int(body.max_fee_per_gas)
    base = int(block.header.base_fee_per_gas or 0)
    return min(int(body.max_fee_per_gas), base + int(body.max_priority_fee_per_gas))


def _access_list(pending: Pending) -> list[dict[str, Any]]:
    return [
        {"address": data(address), "storageKeys": [f"0x{slot:064x}" for slot in slots]}
        for address, slots in pending.body.access_list
    ]


def _size(block: Block) -> int:
    # A typed transaction stands in a block as a byte string, a legacy one as the list it is.
    items = [m.pending.raw if _type(m.pending) else rlp.decode(m.pending.raw) for m in block.mined]
    return len(rlp.encode([rlp.decode(rlp.encode(block.header)), items, []]))
