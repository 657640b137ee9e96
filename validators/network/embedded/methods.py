"""The JSON-RPC methods of the embedded chain: those that the project's clients use, no others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from validators.network.embedded import params as read
from validators.network.embedded import shapes
from validators.network.embedded.blocks import Block
from validators.network.embedded.calls import estimate, execute
from validators.network.embedded.logs import matching
from validators.network.embedded.node import Node
from validators.network.embedded.rpc import INVALID_PARAMS, SERVER_ERROR, Method, RpcError

CLIENT = f"mol-embedded/one-process-no-network/py-evm-{version('py-evm')}"
FEE_HISTORY_LIMIT = 1024
_TAGS = ("latest", "safe", "finalized")  # final at once: one process has no forks


class Methods(Mapping[str, Method]):
    """The table of methods over a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._table: dict[str, Method] = {
            "web3_clientVersion": self._client,
            "net_version": self._net_version,
            "net_listening": self._listening,
            "net_peerCount": self._nothing,
            "eth_chainId": self._chain_id,
            "eth_syncing": self._not_syncing,
            "eth_blockNumber": self._block_number,
            "eth_gasPrice": self._nothing,
            "eth_maxPriorityFeePerGas": self._nothing,
            "eth_feeHistory": self._fee_history,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionCount": self._nonce,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getProof": self._proof,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send,
        }

    def __getitem__(self, name: str) -> Method:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    # -- who and where

    async def _client(self, params: Sequence[Any]) -> str:
        read.no_more(params, 0)
        return CLIENT

    async def _net_version(self, params: Sequence[Any]) -> str:
        read.no_more(params, 0)
        return str(self._node.machine.genesis.chain_id)

    async def _listening(self, params: Sequence[Any]) -> bool:
        read.no_more(params, 0)
        return False

    async def _not_syncing(self, params: Sequence[Any]) -> bool:
        read.no_more(params, 0)
        return False

    async def _nothing(self, params: Sequence[Any]) -> str:
        """Answer zero: no peers, and no price of gas."""
        read.no_more(params, 0)
        return "0x0"

    async def _chain_id(self, params: Sequence[Any]) -> str:
        read.no_more(params, 0)
        return hex(self._node.machine.genesis.chain_id)

    async def _block_number(self, params: Sequence[Any]) -> str:
        read.no_more(params, 0)
        return hex(self._node.head.number)

    async def _fee_history(self, params: Sequence[Any]) -> dict[str, Any]:
        count = _count(read.at(params, 0))
        newest = self._block(read.at(params, 1), 1)
        read.no_more(params, 3)
        percentiles = _percentiles(params, 2)
        first = max(0, newest.number - min(count, FEE_HISTORY_LIMIT) + 1)
        blocks = [b for n in range(first, newest.number + 1) if (b := self._node.block(n))]
        return {
            "oldestBlock": hex(first),
            "baseFeePerGas": ["0x0"] * (len(blocks) + 1),
            "gasUsedRatio": [b.header.gas_used / b.header.gas_limit for b in blocks],
            **({"reward": [["0x0"] * len(percentiles)] * len(blocks)} if percentiles else {}),
        }

    # -- blocks and transactions

    async def _block_by_number(self, params: Sequence[Any]) -> dict[str, Any] | None:
        read.no_more(params, 2)
        block = self._find(read.at(params, 0), 0)
        return shapes.block_json(block, full=_flag(params, 1)) if block else None

    async def _block_by_hash(self, params: Sequence[Any]) -> dict[str, Any] | None:
        read.no_more(params, 2)
        block = self._node.block_by_hash(read.data(read.at(params, 0), 0, read.WORD))
        return shapes.block_json(block, full=_flag(params, 1)) if block else None

    async def _block_receipts(self, params: Sequence[Any]) -> list[dict[str, Any]] | None:
        read.no_more(params, 1)
        block = self._find(read.at(params, 0), 0)
        return [shapes.receipt_json(block, m) for m in block.mined] if block else None

    async def _transaction(self, params: Sequence[Any]) -> dict[str, Any] | None:
        read.no_more(params, 1)
        digest = read.data(read.at(params, 0), 0, read.WORD)
        if found := self._node.mined(digest):
            return shapes.transaction_json(found[1].pending, found[0], found[1].index)
        waiting = self._node.pool.get(digest)
        return shapes.transaction_json(waiting) if waiting else None

    async def _receipt(self, params: Sequence[Any]) -> dict[str, Any] | None:
        read.no_more(params, 1)
        found = self._node.mined(read.data(read.at(params, 0), 0, read.WORD))
        return shapes.receipt_json(*found) if found else None

    async def _send(self, params: Sequence[Any]) -> str:
        read.no_more(params, 1)
        raw = read.data(read.at(params, 0), 0)
        if not raw:
            raise RpcError(SERVER_ERROR, "typed transaction too short")
        return shapes.data(await self._node.send(raw))

    async def _logs(self, params: Sequence[Any]) -> list[dict[str, Any]]:
        read.no_more(params, 1)
        raw = read.log_object(read.at(params, 0))
        wanted = read.log_filter(raw, 0)
        blocks = self._range(raw)
        return list(itertools.chain.from_iterable(matching(block, wanted) for block in blocks))

    # -- state

    async def _nonce(self, params: Sequence[Any]) -> str:
        read.no_more(params, 2)
        address = read.data(read.at(params, 0), 0, read.ADDRESS)
        waiting = len(params) > 1 and params[1] == "pending"
        block = self._block("latest" if waiting else _tag(params, 1), 1)
        nonce = await self._node.work(lambda: self._node.machine.nonce(block, address))
        return hex(self._node.pool.next_nonce(address, nonce) if waiting else nonce)

    async def _balance(self, params: Sequence[Any]) -> str:
        read.no_more(params, 2)
        address = read.data(read.at(params, 0), 0, read.ADDRESS)
        block = self._block(_tag(params, 1), 1)
        return hex(await self._node.work(lambda: self._node.machine.balance(block, address)))

    async def _code(self, params: Sequence[Any]) -> str:
        read.no_more(params, 2)
        address = read.data(read.at(params, 0), 0, read.ADDRESS)
        block = self._block(_tag(params, 1), 1)
        return shapes.data(await self._node.work(lambda: self._node.machine.code(block, address)))

    async def _storage(self, params: Sequence[Any]) -> str:
        read.no_more(params, 3)
        address = read.data(read.at(params, 0), 0, read.ADDRESS)
        slot = _slot(read.at(params, 1), 1)
        block = self._block(_tag(params, 2), 2)
        number = int.from_bytes(slot, "big")
        value = await self._node.work(lambda: self._node.machine.storage(block, address, number))
        return f"0x{value:064x}"

    async def _proof(self, params: Sequence[Any]) -> dict[str, Any]:
        read.no_more(params, 3)
        address = read.data(read.at(params, 0), 0, read.ADDRESS)
        asked = read.at(params, 1)
        if not isinstance(asked, list):
            raise RpcError(INVALID_PARAMS, "invalid argument 1: a list of slots is wanted")
        slots = [_slot(slot, 1) for slot in asked]
        block = self._block(_tag(params, 2), 2)
        account, paths, facts, values = await self._node.work(
            lambda: self._node.machine.prove(block, address, slots)
        )
        nonce, balance, root, code = facts
        return {
            "address": shapes.data(address),
            "accountProof": [shapes.data(n) for n in account],
            "balance": hex(balance),
            "codeHash": shapes.data(code),
            "nonce": hex(nonce),
            "storageHash": shapes.data(root),
            "storageProof": [
                {"key": key, "value": hex(value), "proof": [shapes.data(n) for n in path]}
                for key, value, path in zip(asked, values, paths, strict=True)
            ],
        }

    async def _call(self, params: Sequence[Any]) -> str:
        read.no_more(params, 2)  # no state or block overrides
        request = read.call(read.at(params, 0))
        block = self._block(_tag(params, 1), 1)
        return shapes.data(
            await self._node.work(lambda: execute(self._node.machine, block, request))
        )

    async def _estimate(self, params: Sequence[Any]) -> str:
        read.no_more(params, 2)
        request = read.call(read.at(params, 0))
        block = self._block(_tag(params, 1), 1)
        return hex(await self._node.work(lambda: estimate(self._node.machine, block, request)))

    # -- which block

    def _block(self, tag: Any, index: int) -> Block:
        if (block := self._find(tag, index)) is None:
            raise RpcError(SERVER_ERROR, "header not found")
        return block

    def _find(self, tag: Any, index: int) -> Block | None:
        """Return the block a tag, number or EIP-1898 object names."""
        if isinstance(tag, dict):
            if digest := tag.get("blockHash"):
                return self._node.block_by_hash(read.data(digest, index, read.WORD))
            tag = tag.get("blockNumber")
        if tag in _TAGS:
            return self._node.head
        if tag == "earliest":
            return self._node.block(0)
        if tag == "pending":
            raise RpcError(SERVER_ERROR, "pending block is not available")
        if isinstance(tag, str) and len(tag) == 2 + 2 * read.WORD:
            return self._node.block_by_hash(read.data(tag, index, read.WORD))
        return self._node.block(read.quantity(tag, index))

    def _range(self, raw: Mapping[str, Any]) -> list[Block]:
        if digest := raw.get("blockHash"):
            block = self._node.block_by_hash(read.data(digest, 0, read.WORD))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return [block]
        head = self._node.head.number
        first, last = (self._height(raw.get(name)) for name in ("fromBlock", "toBlock"))
        if first > last:
            raise RpcError(SERVER_ERROR, "invalid block range params")
        numbers = range(first, min(last, head) + 1)
        return [block for number in numbers if (block := self._node.block(number))]

    def _height(self, tag: Any) -> int:
        if tag is None or tag in _TAGS or tag == "pending":
            return self._node.head.number
        return 0 if tag == "earliest" else read.quantity(tag, 0)


def _tag(params: Sequence[Any], index: int) -> Any:
    return params[index] if len(params) > index and params[index] is not None else "latest"


def _flag(params: Sequence[Any], index: int) -> bool:
    if len(params) > index and not isinstance(params[index], bool):
        raise RpcError(INVALID_PARAMS, f"invalid argument {index}: a boolean is wanted")
    return bool(params[index]) if len(params) > index else False


def _count(value: Any) -> int:
    """Read a number of blocks, which some clients send as a JSON number."""
    number = value if isinstance(value, int) else read.quantity(value, 0)
    if number < 1 or isinstance(value, bool):
        raise RpcError(INVALID_PARAMS, "invalid argument 0: at least one block is wanted")
    return number


def _percentiles(params: Sequence[Any], index: int) -> list[Any]:
    found = params[index] if len(params) > index else None
    if found is not None and not isinstance(found, list):
        raise RpcError(INVALID_PARAMS, f"invalid argument {index}: a list is wanted")
    return found or []


def _slot(value: Any, index: int) -> bytes:
    """Read a storage key: up to 32 bytes of hexadecimal, leading zeros allowed."""
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    if not digits or len(digits) > 2 * read.WORD:
        raise RpcError(INVALID_PARAMS, f"invalid argument {index}: unable to decode storage key")
    return read.data("0x" + digits.zfill(2 * read.WORD), index, read.WORD)
