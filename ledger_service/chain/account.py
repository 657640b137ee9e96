"""One key that sends transaction after transaction and waits for each: for set-up and governance.

The service and the agents do not use this: they store what they sign before they send it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ledger_service.chain import binding
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.rpc import INDEXING, Node, RpcFailed, octets, quantity
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Unsigned

POLL_SECONDS = 0.05
WAIT_SECONDS = 90.0


class Account:
    """A key at a network. Nonces are counted here: one Account per key and process."""

    def __init__(self, settings: ChainSettings, signer: LocalSigner) -> None:
        self._settings = settings
        self.signer = signer
        self._nodes = [Node(url) for url in settings.rpc]
        self._nonce: int | None = None

    @property
    def chain_id(self) -> int:
        """Return the chain this account sends to."""
        return self._settings.chain_id

    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask the first node."""
        return await self._nodes[0].call(method, *parameters)

    async def read(self, to: ids.Address, data: bytes) -> bytes:
        """Call a view; return the raw result."""
        request = {"to": ids.checksum(to), "data": "0x" + data.hex()}
        return octets(await self.ask("eth_call", request, "latest"))

    async def nonce(self) -> int:
        """Return the next nonce."""
        if self._nonce is None:
            address = ids.checksum(self.signer.address)
            self._nonce = quantity(await self.ask("eth_getTransactionCount", address, "latest"))
        return self._nonce

    async def send(
        self, to: ids.Address | None, data: bytes, *, gas: int | None = None, value: int = 0
    ) -> ids.TxHash:
        """Send to every node; return the hash. Raise CallReverted (found by simulation), SendRejected."""
        gas = gas or await self._estimate(to, data, value)
        unsigned = Unsigned(self.chain_id, to, data, gas, self._settings.fees, value)
        signed = self.signer.sign(unsigned, await self.nonce())
        outcomes = await asyncio.gather(
            *(node.call("eth_sendRawTransaction", "0x" + signed.raw.hex()) for node in self._nodes),
            return_exceptions=True,
        )
        refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if len(refusals) == len(outcomes):
            raise errors.SendRejected(found=str(refusals[0])[:200])
        self._nonce = signed.nonce + 1
        return signed.hash

    async def wait(self, *transactions: ids.TxHash) -> dict[str, Any]:
        """Return the receipt of the last one; 90 s for all of them, however many they are.

        Raise SendRejected for one that reverted or does not come.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        receipt: dict[str, Any] = {}
        for transaction in transactions:
            receipt = await self._receipt(transaction, deadline)
            if int(receipt["status"], 16) != 1:
                raise errors.SendRejected("It was mined and reverted.", found=transaction.hex())
        return receipt

    async def do(self, to: ids.Address | None, data: bytes) -> dict[str, Any]:
        """Send and wait."""
        return await self.wait(await self.send(to, data))

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(node.close() for node in self._nodes))

    async def _receipt(self, transaction: ids.TxHash, deadline: float) -> dict[str, Any]:
        while True:
            try:
                receipt = await self.ask("eth_getTransactionReceipt", "0x" + transaction.hex())
            except RpcFailed as exc:
                if INDEXING not in exc.error.message:
                    raise
                receipt = None
            if receipt is not None and receipt.get("blockNumber"):
                return dict(receipt)
            if time.monotonic() > deadline:
                raise errors.SendRejected("It was not mined in time.", found=transaction.hex())
            await asyncio.sleep(POLL_SECONDS)

    async def _estimate(self, to: ids.Address | None, data: bytes, value: int) -> int:
        request = {
            "from": ids.checksum(self.signer.address),
            "data": "0x" + data.hex(),
            "value": hex(value),
        }
        if to is not None:
            request["to"] = ids.checksum(to)
        try:
            # A vote that completes a motion costs more than one that does not: leave room.
            return quantity(await self.ask("eth_estimateGas", request)) * 3 // 2 + 50_000
        except RpcFailed as exc:
            if exc.error.data is None:
                raise
            raise binding.reverted(exc.error.data) from exc
