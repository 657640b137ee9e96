"""The EVM over a durable log: state, building of blocks, calls, estimates, proofs.

All of it belongs to one worker thread: nothing here is thread-safe. State lives in memory, whole
history included; each block's new trie nodes lie in the log with the block, so opening a chain
reads them back and executes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import cast

import rlp
from eth.abc import (
    BlockHeaderAPI,
    ComputationAPI,
    ReceiptAPI,
    SignedTransactionAPI,
    StateAPI,
)
from eth.constants import (
    BLANK_ROOT_HASH,
    EMPTY_SHA3,
    EMPTY_UNCLE_HASH,
    ZERO_ADDRESS,
    ZERO_HASH32,
)
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB
from eth.db.trie import make_trie_root_and_nodes
from eth.exceptions import VMError
from eth.vm.chain_context import ChainContext
from eth.vm.forks.london import LondonVM
from eth.vm.spoof import SpoofTransaction
from eth_bloom.bloom import BloomFilter
from eth_hash.auto import keccak
from eth_typing import Address, Hash32
from eth_utils.exceptions import ValidationError
from trie.hexary import HexaryTrie

from ledger_service.domain import errors
from validators.network.embedded.blocklog import BlockLog
from validators.network.embedded.blocks import Block, Pending, Writes, from_record, join, to_record
from validators.network.embedded.genesis import Genesis

# py-evm raises the interpreter's limit so far that a JSON text of 100,000 brackets ends the process
# by a fault instead of a RecursionError. A call depth of 1024 needs about ten frames each.
sys.setrecursionlimit(20_000)

ANCESTORS = 256  # what BLOCKHASH can see
_HASHED_NODE = 32  # a trie node below this size is embedded in its parent


class Unfit(Exception):
    """The transaction cannot be executed on this state; the text says why."""


class BlockFull(Exception):
    """The transaction does not fit into the rest of the block's gas."""


class Overlay(BaseDB):
    """Committed trie nodes, and on top of them those of the block being sealed."""

    def __init__(self) -> None:
        self._base: dict[bytes, bytes] = {}
        self._fresh: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        return self._fresh[key] if key in self._fresh else self._base[key]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._fresh[key] = value

    def __delitem__(self, key: bytes) -> None:
        # History is kept: what older blocks refer to is never taken away.
        self._fresh.pop(key, None)

    def _exists(self, key: bytes) -> bool:
        return key in self._fresh or key in self._base

    def fresh(self) -> Writes:
        """Return what was written since the last commit and was not there before."""
        return [(k, v) for k, v in self._fresh.items() if self._base.get(k) != v]

    def commit(self) -> None:
        """Make the fresh writes part of the base."""
        self._base.update(self._fresh)
        self._fresh.clear()

    def discard(self) -> None:
        """Forget the fresh writes."""
        self._fresh.clear()


class Machine:
    """State and execution. `blocks` grows by whole, durable blocks only."""

    def __init__(self, genesis: Genesis, log: BlockLog) -> None:
        self.genesis = genesis
        self.blocks: list[Block] = []
        self._log = log
        self._nodes = Overlay()
        self._db = AtomicDB(self._nodes)
        self._context = ChainContext(genesis.chain_id)
        self._begin()
        for record in log.records():
            self._load(record)

    @property
    def head(self) -> Block:
        """The highest block."""
        return self.blocks[-1]

    def nonce(self, block: Block, address: bytes) -> int:
        """Return how many transactions an account has sent up to a block."""
        return int(self._state(block.header).get_nonce(Address(address)))

    def balance(self, block: Block, address: bytes) -> int:
        """Return an account's wei after a block."""
        return int(self._state(block.header).get_balance(Address(address)))

    def code(self, block: Block, address: bytes) -> bytes:
        """Return an account's code after a block."""
        return bytes(self._state(block.header).get_code(Address(address)))

    def storage(self, block: Block, address: bytes, slot: int) -> int:
        """Return a word of an account's storage after a block."""
        return int(self._state(block.header).get_storage(Address(address), slot))

    def begin(self, header: BlockHeaderAPI) -> StateAPI:
        """Return the state that a new block, whose header still has its parent's root, starts on."""
        return self._state(header)

    def add(self, block: Block) -> None:
        """Make a sealed block durable, then part of the chain. On an error nothing has changed."""
        try:
            self._log.append(to_record(block, self._nodes.fresh()))
        except errors.StorageError:
            self._nodes.discard()
            raise
        self._nodes.commit()
        self.blocks.append(block)

    def call(self, block: Block, request: SpoofTransaction) -> tuple[ComputationAPI, int]:
        """Execute without keeping; return the computation and the gas used. Raise Unfit."""
        state = self._state(block.header)
        signed = cast("SignedTransactionAPI", request)  # it behaves as one, which py-evm relies on
        try:
            computation = state.apply_transaction(signed)
        except (ValidationError, VMError) as exc:
            raise Unfit(str(exc)) from exc
        return computation, int(LondonVM.finalize_gas_used(signed, computation))

    def prove(
        self, block: Block, address: bytes, slots: Sequence[bytes]
    ) -> tuple[list[bytes], list[list[bytes]], tuple[int, int, bytes, bytes], list[int]]:
        """Return account proof, slot proofs, (nonce, balance, storage root, code hash), values."""
        account_proof = self._path(block.header.state_root, keccak(address))
        encoded = HexaryTrie(self._nodes, block.header.state_root)[keccak(address)]
        root, code = rlp.decode(encoded)[2:] if encoded else (BLANK_ROOT_HASH, EMPTY_SHA3)
        facts = (self.nonce(block, address), self.balance(block, address), root, code)
        values = [self.storage(block, address, int.from_bytes(slot, "big")) for slot in slots]
        return account_proof, [self._path(root, keccak(s)) for s in slots], facts, values

    def _state(self, header: BlockHeaderAPI) -> StateAPI:
        return LondonVM.build_state(self._db, header, self._context, self._ancestors(header))

    def _path(self, root: bytes, key: bytes) -> list[bytes]:
        if root == BLANK_ROOT_HASH:
            return []
        trie = HexaryTrie(self._nodes, root)
        nodes = [rlp.encode(n) for n in trie.get_proof(key) if n]  # type: ignore[no-untyped-call]
        return [n for i, n in enumerate(nodes) if i == 0 or len(n) >= _HASHED_NODE]

    def _ancestors(self, header: BlockHeaderAPI) -> Iterator[Hash32]:
        number = int(header.block_number)
        yield from (
            Hash32(b.hash) for b in reversed(self.blocks[max(0, number - ANCESTORS) : number])
        )

    def _begin(self) -> None:
        empty = self.genesis.header(BLANK_ROOT_HASH)
        state = self._state(empty)
        for address, balance in self.genesis.alloc.items():
            state.set_balance(Address(address), balance)
        state.persist()
        header = self.genesis.header(state.state_root)
        self._nodes.commit()
        self.blocks.append(Block(header, header.hash, ()))

    def _load(self, record: bytes) -> None:
        block, writes = from_record(record)
        if block.header.parent_hash != self.head.hash:
            raise errors.BrokenLog("A block does not follow the one before.", number=block.number)
        for key, value in writes:
            self._nodes[key] = value
        self._nodes.commit()
        self.blocks.append(block)


class Builder:
    """A block in the making: `apply` transactions one by one, then `seal` and `Machine.add`."""

    def __init__(self, machine: Machine, timestamp: int) -> None:
        parent = machine.head
        self._header = parent.header.copy(
            parent_hash=parent.hash,
            block_number=parent.number + 1,
            gas_used=0,
            bloom=0,
            # Like a signer at period 0: blocks of the same second share it, none is ahead of time.
            timestamp=max(int(parent.header.timestamp), timestamp),
            extra_data=b"",
        )
        self._state = machine.begin(self._header)
        self._pendings: list[Pending] = []
        self._receipts: list[ReceiptAPI] = []

    def apply(self, pending: Pending) -> None:
        """Execute one more. Raise Unfit or BlockFull; then the block is as it was before."""
        if self._header.gas_used + pending.body.gas > self._header.gas_limit:
            raise BlockFull
        self._state.lock_changes()
        try:
            computation = self._state.apply_transaction(pending.body)
        except ValidationError as exc:
            raise Unfit(str(exc)) from exc
        receipt = LondonVM.make_receipt(self._header, pending.body, computation, self._state)
        self._header = self._header.copy(gas_used=receipt.gas_used)
        self._pendings.append(pending)
        self._receipts.append(receipt)

    def seal(self) -> Block:
        """Return the finished block; its state is written but not committed."""
        self._state.persist()
        bloom = BloomFilter()
        for receipt in self._receipts:
            bloom |= BloomFilter(receipt.bloom)
        header = self._header.copy(
            state_root=self._state.state_root,
            transaction_root=make_trie_root_and_nodes([p.body for p in self._pendings])[0],
            receipt_root=make_trie_root_and_nodes(self._receipts)[0],
            bloom=int(bloom),
            coinbase=ZERO_ADDRESS,
            mix_hash=ZERO_HASH32,
            uncles_hash=EMPTY_UNCLE_HASH,
        )
        return Block(header, header.hash, join(self._pendings, self._receipts))
