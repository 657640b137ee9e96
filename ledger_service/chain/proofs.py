"""Capturing proofs at finality: header, storage proof of the order's word, receipts of its events.

Everything is verified before it is handed out, so what is kept can be checked for ever without a
node. The receipts trie is rebuilt from the block's receipts (no client serves receipt proofs).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import rlp
from trie.hexary import HexaryTrie

from contracts.load import load
from ledger_service.chain.rpc import RpcFailed
from ledger_service.domain import errors, facts, headers, ids, seals, tries
from ledger_service.domain.headers import Header

Ask = Callable[..., Awaitable[Any]]
METHOD_NOT_FOUND = -32601
#: How an answer of another shape shows: fields that are missing, of another type, or no hex.
MALFORMED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    rlp.exceptions.RLPException,
)


async def capture(
    ask: Ask, contract: ids.Address, order: ids.OrderId, block: facts.Block
) -> facts.CapturedProof:
    """Take the proofs of an order at a block and verify them. Raise BadProof, BadAnswer, RpcFailed."""
    try:
        return await _capture(ask, contract, order, block)
    except MALFORMED as exc:
        raise errors.BadAnswer("Not what was asked for.", cause=repr(exc)[:120]) from exc


async def _capture(
    ask: Ask, contract: ids.Address, order: ids.OrderId, block: facts.Block
) -> facts.CapturedProof:
    fields = await ask("eth_getBlockByNumber", hex(block.number), False)
    if not isinstance(fields, dict):
        raise errors.BadAnswer("No such block.", found=block.number)
    header = headers.from_rpc(fields)
    check_hash(header, block.hash)
    slot = tries.mapping_slot(order, load("MaintenanceOrders").storage["word"])
    proof = await ask(
        "eth_getProof", ids.checksum(contract), ["0x" + slot.hex()], hex(block.number)
    )
    if not isinstance(proof, dict) or not proof.get("storageProof"):
        # Besu answers null where it does not know the block or keeps no state of it.
        raise errors.BadAnswer("No state of this block.", found=block.number)
    word = check_storage(header, contract, slot, proof)
    receipts = await receipts_of(ask, fields)
    return facts.CapturedProof(
        order=order,
        block=block.number,
        block_hash=block.hash,
        header={"fields": [field.hex() for field in header.fields]},
        account_proof={
            "slot": slot.hex(),
            "word": f"{word:064x}",
            "account": [node[2:] for node in proof["accountProof"]],
            "storage": [node[2:] for node in proof["storageProof"][0]["proof"]],
        },
        receipt_proof=prove_receipts(header, receipts, contract, order),
    )


def check_hash(header: Header, expected: bytes) -> None:
    """Raise BadProof unless the header hashes to the block's hash, under either rule."""
    if header.keccak() == expected:
        return
    try:
        sealed = seals.qbft_hash(header)
    except errors.BadProof:
        sealed = ids.BlockHash(b"")
    if sealed != expected:
        raise errors.BadProof("The header is not this block's.", expected=expected.hex())


def check_storage(
    header: Header, contract: ids.Address, slot: bytes, proof: Mapping[str, Any]
) -> int:
    """Return the proven word of a slot. Raise BadProof."""
    account = tries.prove_account(header.state_root, contract, _nodes(proof["accountProof"]))
    if account is None:
        raise errors.BadProof("There is no such contract in this state.")
    return tries.prove_slot(account.storage_root, slot, _nodes(proof["storageProof"][0]["proof"]))


async def receipts_of(ask: Ask, block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a block's receipts in order; one by one where a client has no call for all."""
    try:
        answer = await ask("eth_getBlockReceipts", block["number"])
        if answer is not None:
            return list(answer)
    except RpcFailed as exc:
        if exc.error.code != METHOD_NOT_FOUND:
            raise
    return [await ask("eth_getTransactionReceipt", item) for item in block["transactions"]]


def prove_receipts(
    header: Header, receipts: list[dict[str, Any]], contract: ids.Address, order: ids.OrderId
) -> dict[str, Any]:
    """Return index -> proof nodes for each receipt with an event of the order, verified."""
    trie = HexaryTrie({})
    encoded = [encode_receipt(receipt) for receipt in receipts]
    for index, item in enumerate(encoded):
        trie[rlp.encode(index)] = item
    if trie.root_hash != header.receipts_root:
        raise errors.BadProof("These are not the block's receipts.")
    proven: dict[str, Any] = {}
    for index, receipt in enumerate(receipts):
        if any(_concerns(log, contract, order) for log in receipt["logs"]):
            nodes = [rlp.encode(node) for node in trie.get_proof(rlp.encode(index))]  # type: ignore[no-untyped-call]  # trie has no types here
            tries.prove_item(header.receipts_root, index, nodes)
            proven[str(index)] = [node.hex() for node in nodes]
    return proven


def encode_receipt(receipt: Mapping[str, Any]) -> bytes:
    """Write a receipt as it stands in the trie (EIP-2718: the type, if any, comes first)."""
    body: bytes = rlp.encode(
        [
            _number(receipt["status"]),
            _number(receipt["cumulativeGasUsed"]),
            _bytes(receipt["logsBloom"]),
            [
                [_bytes(log["address"]), [_bytes(t) for t in log["topics"]], _bytes(log["data"])]
                for log in receipt["logs"]
            ],
        ]
    )
    kind = int(receipt.get("type") or "0x0", 16)
    return bytes([kind]) + body if kind else body


def _concerns(log: Mapping[str, Any], contract: ids.Address, order: ids.OrderId) -> bool:
    about = [_bytes(topic) for topic in log["topics"][1:2]]
    return _bytes(log["address"]) == contract and about == [order]


def _nodes(proof: list[str]) -> list[bytes]:
    return [_bytes(node) for node in proof]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _number(text: str) -> bytes:
    number = int(text, 16)
    return number.to_bytes((number.bit_length() + 7) // 8)
