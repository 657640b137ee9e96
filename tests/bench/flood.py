"""The rivals of throughput, on the same nodes: a flood of signed transactions, and a plain loop.

The flood is the ceiling: the very transactions that the service and the agents send (batches of
twenty: a proposal, three approvals), signed before, given to every node at once. The loop is what
one writes first: propose with web3.py, wait for the receipt, send three approvals, wait for theirs.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_typing import ChecksumAddress, Hash32, HexAddress, HexStr
from web3 import HTTPProvider, Web3
from web3.middleware import ExtraDataToPOAMiddleware

from contracts.load import load
from ledger_service import ports
from ledger_service.chain.client import ChainLedger
from ledger_service.domain import calls, ids
from ledger_service.domain.calls import Call, Unsigned
from ledger_service.domain.order import Content
from ledger_service.services.send import BATCH
from tests.bench.rate import Span, until_validated

FLOOD_SECONDS = 300.0
POLL_SECONDS = 0.05
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Hands:
    """Who signs: the builder and the verdict keys, in the order of their seats; for which machine."""

    builder: ports.Signer
    verdicts: Sequence[ports.Signer]
    version: ids.VersionId
    detector: ids.DetectorId

    def content(self) -> Content:
        """Return an order that was never there."""
        return Content(
            evidence=ids.EvidenceId(secrets.token_bytes(32)),
            dataset_root=ids.DatasetRoot(secrets.token_bytes(32)),
            order_digest=ids.OrderDigest(secrets.token_bytes(32)),
            asset_version=self.version,
            detector=self.detector,
            builder=self.builder.address,
            cost=100_00,
            deadline=int(time.time()) + HOUR,
            attempt=1,
        )


async def flood(ledger: ChainLedger, hands: Hands, count: int) -> Span:
    """Sign everything, then send everything; return what the chain made of it."""
    raws = await _signed(ledger, hands, count)
    start = (await ledger.head()).number
    await ledger.send_many(raws)
    return await until_validated(ledger, start, count, seconds=FLOOD_SECONDS)


async def _signed(ledger: ChainLedger, hands: Hands, count: int) -> list[bytes]:
    keys = [hands.builder, *hands.verdicts]
    nonces = {key.address: await ledger.nonce(key.address) for key in keys}
    raws = []
    for at in range(0, count, BATCH):
        contents = tuple(hands.content() for _ in range(min(BATCH, count - at)))
        results = tuple(ids.ResultDigest(secrets.token_bytes(32)) for _ in contents)
        wanted: list[tuple[ports.Signer, Call]] = [(hands.builder, calls.Propose(contents))]
        for seat, key in enumerate(hands.verdicts):
            wanted.append((key, calls.Approve(contents, (seat,) * len(contents), results)))
        for key, call in wanted:
            raws.append(key.sign(ledger.prepare(call), nonces[key.address]).raw)
            nonces[key.address] += 1
    return raws


async def loop(ledger: ChainLedger, hands: Hands, count: int) -> float:
    """Order one after the other with web3.py; return orders a second."""
    return await asyncio.to_thread(_loop, ledger, hands, count)


def _loop(ledger: ChainLedger, hands: Hands, count: int) -> float:
    web = Web3(HTTPProvider(ledger.settings.rpc[0]))
    web.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    contract: Any = web.eth.contract(abi=load("MaintenanceOrders").abi)

    def send(key: ports.Signer, name: str, arguments: Sequence[object], like: Call) -> bytes:
        data = bytes.fromhex(contract.encode_abi(name, args=list(arguments))[2:])
        usual = ledger.prepare(like)
        unsigned = Unsigned(usual.chain_id, usual.to, data, usual.gas, usual.fees)
        nonce = web.eth.get_transaction_count(
            ChecksumAddress(HexAddress(HexStr(ids.checksum(key.address))))
        )
        return bytes(web.eth.send_raw_transaction(key.sign(unsigned, nonce).raw))

    def wait(name: bytes) -> None:
        receipt = web.eth.wait_for_transaction_receipt(Hash32(name), poll_latency=POLL_SECONDS)
        assert receipt["status"] == 1, name.hex()

    began = time.monotonic()
    for _ in range(count):
        content, result = hands.content(), ids.ResultDigest(secrets.token_bytes(32))
        fields = content.as_tuple()
        fields = (*fields[:5], ids.checksum(content.builder), *fields[6:])  # type: ignore[assignment]
        wait(send(hands.builder, "propose", [fields], calls.Propose((content,))))
        approvals = [
            send(
                key,
                "approve",
                [fields, seat, result],
                calls.Approve((content,), (seat,), (result,)),
            )
            for seat, key in enumerate(hands.verdicts)
        ]
        for name in approvals:
            wait(name)
    return count / (time.monotonic() - began)
