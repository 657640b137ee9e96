"""Everything around a transaction: tried, encoded, given to every node, and what became of it."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ledger_service.chain import binding, failures
from ledger_service.chain.rpc import RpcFailed, octets, quantity
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Receipt, Sent, Unsigned
from ledger_service.domain.facts import Block

TAKEN = frozenset({Sent.ACCEPTED, Sent.KNOWN})


class Sending(ABC):
    """The half of the Ledger port that a signer needs. Many at once cost little more than one."""

    settings: ChainSettings
    deployment: Deployment

    def __init__(self) -> None:
        self._sending: set[asyncio.Task[list[Sent]]] = set()

    @abstractmethod
    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask a node."""

    @abstractmethod
    async def ask_many(self, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Ask a node many times the same; errors are given as RpcFailed."""

    @abstractmethod
    async def tell(self, index: int, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
        """Give one node many questions; RpcFailed or BadAnswer stand in the place of theirs."""

    @abstractmethod
    async def block(self, number: int) -> Block | None:
        """Return the block at a height."""

    async def nonce(self, address: ids.Address, block: int | None = None) -> int:
        """Return how many transactions of this key are mined; up to a block, if one is named."""
        at = "latest" if block is None else hex(max(block, 0))
        return quantity(await self.ask("eth_getTransactionCount", ids.checksum(address), at))

    async def waiting_nonce(self, address: ids.Address) -> int:
        """Return the nonce behind all of this key that is mined or waits in a pool.

        By the node that knows of most: pools differ. What nodes do not tell is left out.
        """
        asked = [(ids.checksum(address), "pending")]
        nodes = range(len(self.settings.rpc))
        told = await asyncio.gather(*(self._told(at, asked) for at in nodes))
        return max([await self.nonce(address), *itertools.chain.from_iterable(told)])

    async def _told(self, index: int, asked: Sequence[Sequence[Any]]) -> list[int]:
        try:
            return [quantity(it) for it in await self.tell(index, "eth_getTransactionCount", asked)]
        except errors.ChainError:
            return []

    async def block_gas(self) -> int:
        """Return how much gas a block holds."""
        head = await self.ask("eth_getBlockByNumber", "latest", False)
        try:
            return quantity(head["gasLimit"])
        except (KeyError, TypeError) as exc:
            raise errors.BadAnswer("Not a block.", cause=repr(exc)[:80]) from exc

    async def simulate(self, call: Call, sender: ids.Address) -> None:
        """Try the call on the newest state. Raise CallReverted."""
        (failed,) = await self.simulate_many([call], sender)
        if failed is not None:
            raise failed

    async def simulate_many(
        self, tried: Sequence[Call], sender: ids.Address
    ) -> list[errors.LedgerError | None]:
        """Try each call by itself on the newest state.

        Return CallReverted for one that reverts, RpcFailed where the node has a trouble of its own.
        """
        to, by = ids.checksum(self.deployment.orders), ids.checksum(sender)
        asked = [
            (
                {
                    "from": by,
                    "to": to,
                    "data": "0x" + binding.encode(call).hex(),
                    "gas": hex(binding.gas_limit(call)),
                },
                "latest",
            )
            for call in tried
        ]
        return [_reverted(answer) for answer in await self.ask_many("eth_call", asked)]

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
        """Give it to every node; return at the first that takes it, the others go on."""
        (outcome,) = await self.send_many([raw])
        return outcome

    async def send_many(self, raws: Sequence[bytes]) -> list[Sent]:
        """Give them to every node, in this order; return the best outcome of each.

        At the first node that takes them all, while the others go on. Every node, because gossip
        alone costs a block now and then.
        """
        nodes = range(len(self.settings.rpc))
        tasks = [asyncio.create_task(self._send_to(at, raws)) for at in nodes]
        for task in tasks:
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        answers: list[list[Sent]] = []
        best: list[Sent] = []
        for done in asyncio.as_completed(tasks):
            answers.append(await done)
            best = [failures.best(list(of_one)) for of_one in zip(*answers, strict=True)]
            if TAKEN.issuperset(best):
                break
        return best

    async def stop_sending(self) -> None:
        """Give up what other nodes are still being told."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def receipt(self, transaction: ids.TxHash) -> Receipt | None:
        """Return the receipt if it is on the canonical chain."""
        (found,) = await self.receipts([transaction])
        return found

    async def receipts(self, transactions: Sequence[ids.TxHash]) -> list[Receipt | None]:
        """Return the receipt of each that is on the canonical chain, None for the others."""
        asked = [("0x" + name.hex(),) for name in transactions]
        answers = await self.ask_many("eth_getTransactionReceipt", asked)
        found = [_receipt(answer) for answer in answers]
        heights = sorted({receipt.block for receipt in found if receipt is not None})
        # A node that saw an orphan may still serve its receipts: the block must be the one at its height.
        blocks = await asyncio.gather(*(self.block(number) for number in heights))
        hashes = {block.number: block.hash for block in blocks if block is not None}
        return [
            receipt
            if receipt is not None and hashes.get(receipt.block) == receipt.block_hash
            else None
            for receipt in found
        ]

    async def _send_to(self, index: int, raws: Sequence[bytes]) -> list[Sent]:
        asked = [("0x" + raw.hex(),) for raw in raws]
        try:
            return [_sent(it) for it in await self.tell(index, "eth_sendRawTransaction", asked)]
        except errors.ChainError:
            return [Sent.RETRY] * len(raws)


def _sent(answer: Any) -> Sent:
    if isinstance(answer, RpcFailed):
        return failures.outcome_of(answer.error)
    return Sent.RETRY if isinstance(answer, errors.BadAnswer) else Sent.ACCEPTED


def _reverted(answer: Any) -> errors.LedgerError | None:
    if not isinstance(answer, RpcFailed):
        return None
    if answer.error.data is None and "revert" not in answer.error.message.lower():
        return answer
    return binding.reverted(answer.error.data)


def _receipt(fields: Any) -> Receipt | None:
    if isinstance(fields, RpcFailed):
        raise fields
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
