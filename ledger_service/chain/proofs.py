"""Capturing proofs at finality: header, storage proof of the order's word, receipts of its events.

Everything is verified before it is handed out, so what is kept can be checked for ever without a
node. The receipts trie is rebuilt from the block's receipts (no client serves receipt proofs), once
a block: it also proves that no event was left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import rlp

from contracts.load import load
from ledger_service.chain.rpc import RpcFailed
from ledger_service.domain import errors, facts, ids, seals, tries
from ledger_service.domain.headers import Header
from ledger_service.domain.listtrie import ListTrie
from ledger_service.domain.tries import HASH_BYTES

Ask = Callable[..., Awaitable[Any]]
AskMany = Callable[[str, Sequence[Sequence[Any]]], Awaitable[list[Any]]]
METHOD_NOT_FOUND = -32601
#: Slots asked for in one request.
SLOTS_AT_ONCE = 64
#: How an answer of another shape shows: fields that are missing, of another type, or no hex.
MALFORMED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    rlp.exceptions.RLPException,
)


#: What nodes say where they keep no state of a block. geth and GoQuorum: "missing trie node ..",
#: "required historical state unavailable"; Besu: "World state unavailable".
NO_STATE = ("missing trie node", "state unavailable", "state is not available", "pruned")
NOTHING_SAID = "No state of this block."


def is_of_no_state(why: errors.ChainError) -> bool:
    """Say whether a node says that it proves nothing of this block, now and later."""
    if not isinstance(why, RpcFailed):
        return why.detail == NOTHING_SAID
    text = why.error.message.lower()
    return why.error.code == METHOD_NOT_FOUND or any(part in text for part in NO_STATE)


class Receipts:
    """All receipts of a block, as a node told them, in the trie whose root its header has."""

    def __init__(self, header: Header, told: list[dict[str, Any]]) -> None:
        """Raise BadProof unless they are all that there are, and the same; BadAnswer if they are none."""
        self.told = told
        self._root = header.receipts_root
        try:
            self.names = [ids.TxHash(_hash(receipt["transactionHash"])) for receipt in told]
            self._trie = ListTrie([encode_receipt(receipt) for receipt in told])
        except MALFORMED as exc:
            raise errors.BadAnswer("Not a block's receipts.", cause=repr(exc)[:120]) from exc
        if self._trie.root != self._root:
            raise errors.BadProof("These are not the block's receipts.", found=header.number)
        self._proofs: dict[int, list[str]] = {}

    def prove(self, contract: ids.Address, order: ids.OrderId) -> dict[str, Any]:
        """Return index -> proof nodes for each receipt with an event of the order, verified."""
        return {str(at): self._proof(at) for at in self._with_events.get((contract, order), ())}

    def _proof(self, index: int) -> list[str]:
        """Return a receipt's proof, verified once: the orders of a batch have their events in one."""
        if index not in self._proofs:
            nodes = self._trie.proof(index)
            tries.prove_item(self._root, index, nodes)
            self._proofs[index] = [node.hex() for node in nodes]
        return self._proofs[index]

    @cached_property
    def _with_events(self) -> Mapping[tuple[bytes, bytes], Sequence[int]]:
        """By contract and first topic, the order in ours: which receipts have such events."""
        found: dict[tuple[bytes, bytes], dict[int, None]] = {}
        for index, receipt in enumerate(self.told):
            for log in receipt["logs"]:
                for topic in log["topics"][1:2]:
                    found.setdefault((_bytes(log["address"]), _bytes(topic)), {})[index] = None
        return {about: tuple(indices) for about, indices in found.items()}


async def capture(
    ask: Ask,
    contract: ids.Address,
    orders: Sequence[ids.OrderId],
    at: tuple[facts.Block, Header],
    receipts: Receipts,
) -> list[facts.CapturedProof]:
    """Take the proofs of orders at a block and verify them. Raise BadProof, BadAnswer, RpcFailed."""
    found: list[facts.CapturedProof] = []
    try:
        for start in range(0, len(orders), SLOTS_AT_ONCE):
            some = orders[start : start + SLOTS_AT_ONCE]
            found += await _capture(ask, contract, some, at, receipts)
    except MALFORMED as exc:
        raise errors.BadAnswer("Not what was asked for.", cause=repr(exc)[:120]) from exc
    return found


async def _capture(
    ask: Ask,
    contract: ids.Address,
    orders: Sequence[ids.OrderId],
    at: tuple[facts.Block, Header],
    receipts: Receipts,
) -> list[facts.CapturedProof]:
    block, header = at
    place = load("MaintenanceOrders").storage["word"]
    slots = [tries.mapping_slot(order, place) for order in orders]
    asked = ["0x" + slot.hex() for slot in slots]
    proof = await ask("eth_getProof", ids.checksum(contract), asked, hex(block.number))
    if not isinstance(proof, dict) or not proof.get("storageProof"):
        # Besu answers null where it does not know the block or keeps no state of it.
        raise errors.BadAnswer(NOTHING_SAID, found=block.number)
    words = check_storage(header, contract, slots, proof)
    return [
        facts.CapturedProof(
            order=order,
            block=block.number,
            block_hash=block.hash,
            header={"fields": [field.hex() for field in header.fields]},
            account_proof={
                "slot": slot.hex(),
                "word": f"{word:064x}",
                "account": [node[2:] for node in proof["accountProof"]],
                "storage": [node[2:] for node in told["proof"]],
            },
            receipt_proof=receipts.prove(contract, order),
        )
        for order, slot, word, told in zip(orders, slots, words, proof["storageProof"], strict=True)
    ]


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
    header: Header, contract: ids.Address, slots: Sequence[bytes], proof: Mapping[str, Any]
) -> list[int]:
    """Return the proven word of each slot. Raise BadProof."""
    account = tries.prove_account(header.state_root, contract, _nodes(proof["accountProof"]))
    if account is None:
        raise errors.BadProof("There is no such contract in this state.")
    return [
        tries.prove_slot(account.storage_root, slot, _nodes(told["proof"]))
        for slot, told in zip(slots, proof["storageProof"], strict=True)
    ]


async def receipts_of(ask: Ask, ask_many: AskMany, block: facts.Block) -> list[dict[str, Any]]:
    """Return a block's receipts in order; one by one where a client has no call for all.

    Raise BadAnswer where there are none.
    """
    name = "0x" + block.hash.hex()
    try:
        answer = await ask("eth_getBlockReceipts", name)
    except RpcFailed as exc:
        if exc.error.code != METHOD_NOT_FOUND:
            raise errors.BadAnswer("No receipts.", found=str(exc)[:120]) from exc
        fields = await ask("eth_getBlockByHash", name, False)
        listed = fields.get("transactions") if isinstance(fields, dict) else None
        if not isinstance(listed, list):
            raise errors.BadAnswer("Not a block.", found=name) from exc
        answer = await ask_many("eth_getTransactionReceipt", [(item,) for item in listed])
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise errors.BadAnswer("No receipts of this block.", found=block.number)
    return answer


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


def _nodes(proof: list[str]) -> list[bytes]:
    return [_bytes(node) for node in proof]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _hash(text: str) -> bytes:
    found = _bytes(text)
    if len(found) != HASH_BYTES:
        raise ValueError(text[:80])
    return found


def _number(text: str) -> bytes:
    number = int(text, 16)
    return number.to_bytes((number.bit_length() + 7) // 8)
