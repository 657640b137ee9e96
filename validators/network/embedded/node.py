"""The embedded node: one worker thread for the EVM, an index for reads, a loop that makes blocks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from eth.exceptions import UnrecognizedTransactionType
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from validators.network.embedded.blocks import Block, Mined, Pending, decode
from validators.network.embedded.machine import BlockFull, Builder, Machine, Unfit
from validators.network.embedded.pool import SERVER_ERROR, Pool, Standing
from validators.network.embedded.rpc import RpcError

T = TypeVar("T")
Listener = Callable[[Block], None]

#: A block is closed after this long, so that what came first is answered while the rest waits.
BUILD_SECONDS = 0.25
log = logging.getLogger(__name__)


class Node:
    """All of an embedded node but its protocol. `period` 0 = a block as soon as something waits."""

    def __init__(self, machine: Machine, period: float) -> None:
        self.machine = machine
        self.pool = Pool()
        self.listeners: set[Listener] = set()
        self._period = period
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="evm")
        self._wake = asyncio.Event()
        self._by_hash: dict[bytes, Block] = {}
        self._mined: dict[bytes, tuple[Block, int]] = {}
        self._seen = 0
        self._index()

    @property
    def head(self) -> Block:
        """The highest block that is announced."""
        return self.machine.blocks[self._seen - 1]

    def block(self, number: int) -> Block | None:
        """Return a block by height."""
        return self.machine.blocks[number] if 0 <= number < self._seen else None

    def block_by_hash(self, digest: bytes) -> Block | None:
        """Return a block by hash."""
        return self._by_hash.get(digest)

    def mined(self, digest: bytes) -> tuple[Block, Mined] | None:
        """Return a transaction by hash, with its block."""
        if (place := self._mined.get(digest)) is None:
            return None
        return place[0], place[0].mined[place[1]]

    async def work(self, job: Callable[[], T]) -> T:
        """Run something on the EVM's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, job)

    async def send(self, raw: bytes) -> bytes:
        """Take a signed transaction; return its hash. It waits in memory until it is mined.

        Raise RpcError with geth's text if it is malformed or can never be mined.
        """
        pending, standing = await self.work(lambda: self._inspect(raw))
        self.pool.add(pending, standing)
        self._wake.set()
        return pending.hash

    async def run(self) -> None:
        """Make blocks for ever. Whatever fails here ends the process: it comes back from its log."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._period:
                await asyncio.sleep(self._period - time.time() % self._period)
            if await self._make_block():
                self._wake.set()

    def close(self) -> None:
        """End the worker."""
        self._worker.shutdown()

    async def _make_block(self) -> bool:
        """Make one block of what is ready; say whether more may be ready."""
        if not (ready := list(self.pool.ready())):
            return False
        builder = await self.work(lambda: Builder(self.machine, int(time.time())))
        taken: list[Pending] = []
        deadline = time.monotonic() + max(BUILD_SECONDS, self._period / 2)
        full = False
        for pending in ready:
            try:
                await self.work(lambda p=pending: builder.apply(p))  # type: ignore[misc]
            except BlockFull:
                full = True
            except Unfit as exc:
                log.warning("dropped transaction 0x%s: %s", pending.hash.hex(), exc)
                self.pool.drop(pending)
                full = True  # later nonces of its sender must not be tried in this block
            else:
                taken.append(pending)
                full = time.monotonic() > deadline
            if full:
                break
        if taken:
            await self.work(lambda: self.machine.add(builder.seal()))
            self.pool.settle(taken)
            self._index()
        return full

    def _index(self) -> None:
        for block in self.machine.blocks[self._seen :]:
            self._by_hash[block.hash] = block
            for mined in block.mined:
                self._mined[mined.pending.hash] = (block, mined.index)
            self._seen += 1
            for listener in list(self.listeners):
                listener(block)

    def _inspect(self, raw: bytes) -> tuple[Pending, Standing]:
        try:
            pending = decode(raw)
        except UnrecognizedTransactionType as exc:
            raise RpcError(SERVER_ERROR, "transaction type not supported") from exc
        except (RLPException, IndexError, TypeError, ValueError, RecursionError) as exc:
            raise RpcError(SERVER_ERROR, f"rlp: {exc}") from exc
        except (ValidationError, BadSignature) as exc:
            raise RpcError(SERVER_ERROR, f"invalid sender: {exc}") from exc
        head = self.machine.head
        standing = Standing(
            chain_id=self.machine.genesis.chain_id,
            gas_limit=int(head.header.gas_limit),
            nonce=self.machine.nonce(head, pending.sender),
            balance=self.machine.balance(head, pending.sender),
        )
        return pending, standing
