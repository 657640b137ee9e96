"""A consortium of three on a chain that runs: keys, contracts, motions, one machine with a device.

Organisations 1 (host), 2, 3 (safety authority) sit in seats 0, 1, 2 of asset `1/robot-7`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account import Account as Keys
from eth_hash.auto import keccak

from ledger_service.chain import consortium
from ledger_service.chain.account import Account
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.consortium import OrganisationKeys, VersionTerms
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import calls, ids
from ledger_service.domain.calls import Call, Receipt, Sent
from ledger_service.domain.order import Content
from validators.network.files import Network

ASSET = ids.asset_id("1/robot-7")
DETECTOR = ids.DetectorId(keccak(b"detector"))
DEVICE = ids.DeviceId(keccak(b"device"))
RESULT = ids.ResultDigest(keccak(b"result"))
ETHER = 10**18
TRANSFER_GAS = 21_000
MINED_SECONDS = 30.0


def signer(name: str) -> LocalSigner:
    """Return a key that only tests know."""
    return LocalSigner(Keys.from_key(keccak(f"test key {name}".encode())))


def settings_of(network: Network, folder: Path) -> ChainSettings:
    """Return what a client must know of a network."""
    return ChainSettings.load(network.save(folder))


@dataclass(frozen=True)
class Founded:
    """A consortium and its orders contract. The keys of `clan` are its own: any number fit a chain."""

    settings: ChainSettings
    deployment: Deployment
    organisations: tuple[OrganisationKeys, ...]
    builder: LocalSigner
    stranger: LocalSigner
    version: ids.VersionId

    def ledger(self, settings: ChainSettings | None = None) -> ChainLedger:
        """Return a client; close it."""
        return ChainLedger(settings or self.settings, self.deployment)

    def content(self, *, attempt: int = 1, hours: float = 1) -> Content:
        """Return a fresh order of the asset."""
        return Content(
            evidence=ids.EvidenceId(secrets.token_bytes(32)),
            dataset_root=ids.DatasetRoot(secrets.token_bytes(32)),
            order_digest=ids.OrderDigest(secrets.token_bytes(32)),
            asset_version=self.version,
            detector=DETECTOR,
            builder=self.builder.address,
            cost=100_00,
            deadline=int(time.time() + 3600 * hours),
            attempt=attempt,
        )

    def verdict(self, number: int) -> LocalSigner:
        """Return the verdict key of an organisation."""
        return self.organisations[number - 1].verdict

    def governors(self) -> list[LocalSigner]:
        """Return the governance keys."""
        return [keys.governance for keys in self.organisations]


def approve(content: Content, seat: int) -> calls.Approve:
    """Return an approval of one order."""
    return calls.Approve((content,), (seat,), (RESULT,))


async def send(
    ledger: ChainLedger, key: LocalSigner, call: Call, *, nonce: int | None = None
) -> ids.TxHash:
    """Sign and send by the key's next mined nonce, or the one given."""
    at = await ledger.nonce(key.address) if nonce is None else nonce
    signed = key.sign(ledger.prepare(call), at)
    assert await ledger.send(signed.raw) in {Sent.ACCEPTED, Sent.KNOWN}
    return signed.hash


async def mined(ledger: ChainLedger, transaction: ids.TxHash) -> Receipt:
    """Wait for a receipt."""
    async with asyncio.timeout(MINED_SECONDS):
        while (receipt := await ledger.receipt(transaction)) is None:  # noqa: ASYNC110  a node has no event for it
            await asyncio.sleep(0.02)
        # geth tells of a receipt a moment before its newest state counts the nonce.
        while (await ledger.head()).number < receipt.block:  # noqa: ASYNC110  milliseconds
            await asyncio.sleep(0.005)
        return receipt


@asynccontextmanager
async def accounts(
    settings: ChainSettings, signers: Iterable[LocalSigner]
) -> AsyncIterator[list[Account]]:
    """Open accounts that send by hand."""
    opened = [Account(settings, item) for item in signers]
    try:
        yield opened
    finally:
        await asyncio.gather(*(account.close() for account in opened))


async def fund(
    settings: ChainSettings, funder: LocalSigner, addresses: Iterable[ids.Address]
) -> None:
    """Give each an ether and wait for the last transfer."""
    async with accounts(settings, [funder]) as (account,):
        sent = [await account.send(to, b"", gas=TRANSFER_GAS, value=ETHER) for to in addresses]
        for transaction in sent:
            await account.wait(transaction)


async def found(
    settings: ChainSettings, clan: str, *, funder: LocalSigner | None = None
) -> Founded:
    """Deploy, and let all motions pass: orders contract, version, detector, device."""
    organisations = tuple(
        OrganisationKeys(*(signer(f"{clan} {role} {n}") for role in ("verdict", "gov", "rec")))
        for n in (1, 2, 3)
    )
    builder, deployer = signer(f"{clan} builder"), signer(f"{clan} deployer")
    stranger = signer(f"{clan} stranger")
    governors = [keys.governance for keys in organisations]
    verdicts = [keys.verdict for keys in organisations]
    if funder is not None:
        everybody = (builder, deployer, stranger, *governors, *verdicts)
        await fund(settings, funder, [key.address for key in everybody])
    async with accounts(settings, [deployer, *governors]) as (account, *voters):
        deployment = await consortium.deploy(account, organisations, [builder])
        terms = VersionTerms(ASSET, (1, 2, 3), 1, 3, emergency_cap=1_000_00, emergency_max=2)
        motions = [
            consortium.motion("ListOrders", ids.checksum(deployment.orders)),
            consortium.motion("RegisterVersion", terms.as_tuple()),
            consortium.motion("AddDetector", DETECTOR),
            consortium.motion("AddDevice", ASSET, DEVICE),
        ]
        await consortium.pass_all(deployment.consortium, motions, voters)
    version = consortium.version_id(deployment.chain_id, deployment.consortium, terms)
    return Founded(settings, deployment, organisations, builder, stranger, version)


def polling(settings: ChainSettings) -> ChainSettings:
    """Return the settings without WebSockets."""
    return replace(settings, ws=())
