"""The Ledger port: the chain through one or more nodes, whatever they run.

Differences between clients that are dealt with here, and nowhere else: geth answers an unknown
block in a state query with an error, Besu with null; GoQuorum has no eth_getBlockReceipts; QBFT's
block hash is not the keccak of the header; no QBFT client knows the tag `finalized`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from contracts.load import load
from ledger_service.chain import binding, failures, heads, proofs
from ledger_service.chain.registry import Registry
from ledger_service.chain.rpc import Node, RpcFailed, octets, quantity
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent, Unsigned
from ledger_service.domain.facts import Block, CapturedProof, Fact

RETURN_SECONDS = 30.0


class ChainLedger(Registry):
    """The orders contract and its consortium, seen through nodes."""

    def __init__(self, settings: ChainSettings, deployment: Deployment) -> None:
        self.settings = settings
        self.deployment = deployment
        self.orders = deployment.domain
        self.finality_depth = settings.finality_depth
        self._nodes = [Node(url, timeout=settings.timeout) for url in settings.rpc]
        self._best = 0
        self._return_at = 0.0
        self._ours: set[int] = set()
        self._sending: set[asyncio.Task[Sent]] = set()

    async def check(self) -> None:
        """Raise WrongChain unless each node that answers serves our chain, with our contracts' code.

        Raise NodeUnreachable if none answers.
        """
        checks = [self._check_node(node) for node in self._nodes]
        found = await asyncio.gather(*checks, return_exceptions=True)
        failed = [item for item in found if isinstance(item, BaseException)]
        wrong = [item for item in failed if not isinstance(item, errors.NodeUnreachable)]
        if wrong or len(failed) == len(self._nodes):
            raise (wrong or failed)[0]

    async def _check_chain(self, node: Node) -> None:
        expected = (self.deployment.chain_id, self.deployment.genesis)
        chain_id = quantity(await node.call("eth_chainId"))
        genesis = _block(await node.call("eth_getBlockByNumber", "0x0", False))
        if (chain_id, genesis.hash if genesis else b"") != expected:
            raise errors.WrongChain(node=node.url, found=chain_id, expected=expected[0])

    async def _check_node(self, node: Node) -> None:
        await self._check_chain(node)
        for name, address in (
            ("Consortium", self.deployment.consortium),
            ("MaintenanceOrders", self.deployment.orders),
        ):
            code = octets(await node.call("eth_getCode", ids.checksum(address), "latest"))
            if not load(name).matches(code):
                raise errors.WrongChain(
                    "Other code than this version's.", node=node.url, contract=name
                )

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask our own node, the first; another one while it is away.

        Raise WrongChain if one serves another chain and none serves ours, else NodeUnreachable.
        """
        failed: list[errors.ChainError] = []
        for index in self._turns():
            try:
                answer = await self._call(index, method, *parameters)
            except (errors.NodeUnreachable, errors.BadAnswer, errors.WrongChain) as exc:
                failed.append(exc)
                continue
            self._settle_on(index)
            return answer
        wrong = next((exc for exc in failed if isinstance(exc, errors.WrongChain)), None)
        raise wrong or errors.NodeUnreachable(tried=len(self._nodes)) from failed[-1]

    async def _call(self, index: int, method: str, *parameters: Any) -> Any:
        """Ask a node; first, each time that it comes back, which chain it serves.

        It may have been away at the start, or come back with another data folder.
        """
        node = self._nodes[index]
        try:
            if index not in self._ours:
                await self._check_chain(node)
                self._ours.add(index)
            return await node.call(method, *parameters)
        except errors.NodeUnreachable:
            self._ours.discard(index)
            raise

    def _turns(self) -> list[int]:
        """Return the nodes in the order to ask: the one that answered last, the first again in time."""
        if time.monotonic() > self._return_at:
            self._best = 0
        return [(self._best + turn) % len(self._nodes) for turn in range(len(self._nodes))]

    def _settle_on(self, index: int) -> None:
        if index != self._best:
            self._best, self._return_at = index, time.monotonic() + RETURN_SECONDS

    async def head(self) -> Block:
        """Return the newest block."""
        block = _block(await self.ask("eth_getBlockByNumber", "latest", False))
        if block is None:
            raise errors.BadAnswer("No newest block.")
        return block

    async def block(self, number: int) -> Block | None:
        """Return the block at a height of the canonical chain."""
        return _block(await self.ask("eth_getBlockByNumber", hex(number), False))

    async def facts(self, block: Block) -> Sequence[Fact]:
        """Return the events of exactly this block: asked by hash, so an orphan's are never mixed in."""
        wanted = {
            "address": ids.checksum(self.deployment.orders),
            "blockHash": "0x" + block.hash.hex(),
        }
        logs = await self.ask("eth_getLogs", wanted)
        if not isinstance(logs, list):
            raise errors.BadAnswer("No logs.", found=repr(logs)[:80])
        try:
            read = [binding.fact_of(item) for item in logs if not item.get("removed")]
        except proofs.MALFORMED as exc:
            raise errors.BadAnswer("Not the logs of this contract.", cause=repr(exc)[:80]) from exc
        found = [fact for fact in read if fact is not None]
        if any(fact.place.block_hash != block.hash for fact in found):
            raise errors.BadAnswer("Logs of another block.", expected=block.hash.hex())
        return sorted(found, key=lambda fact: fact.place.id)

    def heads(self) -> AsyncIterator[Block]:
        """Yield new heads as they come; never ends."""
        return heads.follow(self.settings, self.head, _block)

    async def nonce(self, address: ids.Address) -> int:
        """Return how many transactions of this key are mined."""
        answer = await self.ask("eth_getTransactionCount", ids.checksum(address), "latest")
        return quantity(answer)

    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try the call on the newest state. Raise CallReverted."""
        request = {
            "from": ids.checksum(sender),
            "to": ids.checksum(self.deployment.orders),
            "data": "0x" + binding.encode(call).hex(),
            "gas": hex(binding.gas_limit(call)),
        }
        try:
            await self.ask("eth_call", request, "latest")
        except RpcFailed as exc:
            if exc.error.data is None and "revert" not in exc.error.message.lower():
                raise
            raise binding.reverted(exc.error.data) from exc

    def prepare(self, call: Call) -> Unsigned:
        """Encode the call with its fixed gas limit and this network's fees."""
        return Unsigned(
            chain_id=self.settings.chain_id,
            to=self.deployment.orders,
            data=binding.encode(call),
            gas=binding.gas_limit(call),
            fees=self.settings.fees,
        )

    async def send(self, raw: bytes) -> Sent:
        """Give it to every node; return at the first that takes it, the others go on.

        Every node, because gossip alone costs a block now and then.
        """
        tasks = [asyncio.create_task(self._send_to(at, raw)) for at in range(len(self._nodes))]
        for task in tasks:
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        outcomes: list[Sent] = []
        for done in asyncio.as_completed(tasks):
            outcomes.append(await done)
            if outcomes[-1] in {Sent.ACCEPTED, Sent.KNOWN}:
                break
        return failures.best(outcomes)

    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return the receipt if it is on the canonical chain."""
        answer = await self.ask("eth_getTransactionReceipt", "0x" + transaction.hex())
        receipt = _receipt(answer)
        if receipt is None:
            return None
        # A node that saw an orphan may still serve its receipts: the block must be the one at its height.
        block = await self.block(receipt.block)
        return receipt if block is not None and block.hash == receipt.block_hash else None

    async def capture(self, order: ids.OrderId, block: Block) -> CapturedProof | None:
        """Take and verify the proofs of an order at a block; None where no node keeps the state.

        Each node is asked until one proves it: some keep less state than others, and one may lie.
        Raise NodeUnreachable if none answers: then it is not known whether one keeps it.
        """
        away = 0
        for index in self._turns():
            ask = partial(self._call, index)
            try:
                return await proofs.capture(ask, self.deployment.orders, order, block)
            except errors.NodeUnreachable:
                away += 1
            except errors.ChainError:
                continue
        if away == len(self._nodes):
            raise errors.NodeUnreachable(tried=away)
        return None

    async def close(self) -> None:
        """Close the connections."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await asyncio.gather(*(node.close() for node in self._nodes))

    async def _send_to(self, index: int, raw: bytes) -> Sent:
        try:
            await self._call(index, "eth_sendRawTransaction", "0x" + raw.hex())
        except RpcFailed as exc:
            return failures.outcome_of(exc.error)
        except errors.ChainError:
            return Sent.RETRY
        return Sent.ACCEPTED


def _block(fields: Any) -> Block | None:
    if not fields:
        return None
    try:
        return Block(
            number=int(fields["number"], 16),
            hash=ids.BlockHash(bytes.fromhex(fields["hash"][2:])),
            parent=ids.BlockHash(bytes.fromhex(fields["parentHash"][2:])),
            time=int(fields["timestamp"], 16),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise errors.BadAnswer("Not a block.", cause=repr(exc)) from exc


def _receipt(fields: Any) -> Receipt | None:
    try:
        if not fields or fields.get("blockNumber") is None:
            return None
        return Receipt(
            hash=ids.TxHash(octets(fields["transactionHash"])),
            block=quantity(fields["blockNumber"]),
            block_hash=ids.BlockHash(octets(fields["blockHash"])),
            succeeded=quantity(fields["status"]) == 1,
            gas_used=quantity(fields["gasUsed"]),
        )
    except (KeyError, AttributeError) as exc:
        raise errors.BadAnswer("Not a receipt.", cause=repr(exc)) from exc
