"""Governance of the consortium: motions, votes, asset versions, and the deployment of both contracts."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth_abi.abi import encode
from eth_hash.auto import keccak

from contracts.load import enums, load
from ledger_service.chain.account import Account
from ledger_service.chain.binding import consortium_interface, orders_interface
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import Deployment
from ledger_service.domain import errors, ids

MOTION_SECONDS = 7 * 24 * 3600
VERSION = "(bytes32,bytes32,uint8[],uint8,uint8,uint32,uint64,uint16)"
ORGANISATION = "(address,address,address)"
PROOFS = "(bytes,bytes,bytes)"
DEPLOY_GAS = 5_500_000
VOTE_GAS = 900_000
DEVICES = frozenset({"AddDevice", "RevokeDevice"})


def kind_number(kind: str) -> int:
    """Return the number of a kind of motion."""
    return enums()["Kind"].index(kind)


def role_number(role: str) -> int:
    """Return the number of a role."""
    return enums()["Role"].index(role)


@dataclass(frozen=True, slots=True)
class OrganisationKeys:
    """The three keys of an organisation, where one machine holds them (demo, tests, ceremony)."""

    verdict: LocalSigner
    governance: LocalSigner
    recovery: LocalSigner

    def addresses(self) -> tuple[str, str, str]:
        """Return the addresses in the contract's order."""
        keys = (self.verdict, self.governance, self.recovery)
        verdict, governance, recovery = (ids.checksum(key.address) for key in keys)
        return verdict, governance, recovery

    def proofs(self, contract: ids.Address, chain_id: int, number: int) -> tuple[bytes, ...]:
        """Return the signatures by which each key shows that it is held."""
        roles = (
            ("Verdict", self.verdict),
            ("Governance", self.governance),
            ("Recovery", self.recovery),
        )
        return tuple(
            key.prove_possession(contract, chain_id, number, role_number(role))
            for role, key in roles
        )


@dataclass(frozen=True, slots=True)
class VersionTerms:
    """Terms of an asset version. Periods in seconds, cap in minor units of the currency."""

    asset: ids.AssetId
    seats: tuple[int, ...]
    host: int
    safety: int = 0
    previous: bytes = bytes(32)
    ratify_period: int = 24 * 3600
    emergency_cap: int = 0
    emergency_max: int = 0

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the fields in the contract's order."""
        return (
            self.asset,
            self.previous,
            self.seats,
            self.host,
            self.safety,
            self.ratify_period,
            self.emergency_cap,
            self.emergency_max,
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """A motion as the contract names it: kind, ABI-encoded arguments, expiry (seconds), salt."""

    kind: str
    data: bytes
    expires: int
    salt: bytes

    def as_tuple(self) -> tuple[int, bytes, int, bytes]:
        """Return the fields in the contract's order."""
        return kind_number(self.kind), self.data, self.expires, self.salt

    def calldata(self, verb: str) -> bytes:
        """Return the calldata to `vote`, `unvote` or `execute` it."""
        return consortium_interface().functions[verb].encode(self.as_tuple())

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form in which parties hand a motion to each other."""
        return {
            "kind": self.kind,
            "data": self.data.hex(),
            "expires": self.expires,
            "salt": self.salt.hex(),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Motion:
        """Read the JSON form. Raise UnknownField."""
        try:
            kind_number(fields["kind"])
            return cls(
                fields["kind"],
                bytes.fromhex(fields["data"]),
                int(fields["expires"]),
                ids.parse32(fields["salt"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise errors.UnknownField("Not a motion.", cause=repr(exc)) from exc


#: Kind of motion -> the types of its arguments.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "AddOrganisation": (ORGANISATION, PROOFS),
    "Expel": ("uint256",),
    "RegisterVersion": (VERSION,),
    "AddDetector": ("bytes32",),
    "RevokeDetector": ("bytes32",),
    "AddDevice": ("bytes32", "bytes32"),
    "RevokeDevice": ("bytes32", "bytes32"),
    "AddBuilder": ("address", "uint256", "bytes"),
    "RemoveBuilder": ("address",),
    "Recover": ("uint256", ORGANISATION, PROOFS),
    "ListOrders": ("address",),
}


def motion(kind: str, *arguments: Any, lifetime: int = MOTION_SECONDS) -> Motion:
    """Return a new motion with a random salt; it expires after `lifetime` seconds."""
    data = encode(ARGUMENTS[kind], arguments)
    return Motion(kind, data, int(time.time()) + lifetime, secrets.token_bytes(32))


async def view(account: Account, consortium: ids.Address, name: str, *arguments: Any) -> Any:
    """Ask the consortium; return the first result."""
    function = consortium_interface().functions[name]
    return function.decode(await account.read(consortium, function.encode(*arguments)))[0]


async def vote(consortium: ids.Address, item: Motion, voters: Sequence[Account]) -> None:
    """Let governance accounts vote one after the other; the last one needed executes it."""
    for voter in voters:
        await voter.do(consortium, item.calldata("vote"))


async def pass_all(
    consortium: ids.Address, items: Sequence[Motion], voters: Sequence[Account]
) -> None:
    """Let accounts vote for many motions, side by side: each account in its own nonce order.

    Whom a device concerns is read from the asset's present version, also when the first vote is
    cast: so devices come when everything else has passed. Any voter may turn out to be the last, so
    each gets gas for the execution. Raise SendRejected.
    """
    devices = [item for item in items if item.kind in DEVICES]
    for round_ in ([item for item in items if item.kind not in DEVICES], devices):
        await _pass_round(consortium, round_, voters)


async def _pass_round(
    consortium: ids.Address, items: Sequence[Motion], voters: Sequence[Account]
) -> None:
    async def one(voter: Account) -> None:
        votes = [item.calldata("vote") for item in items]
        await voter.wait(*[await voter.send(consortium, data, gas=VOTE_GAS) for data in votes])

    try:
        async with asyncio.TaskGroup() as group:
            for voter in voters:
                group.create_task(one(voter))
    except BaseExceptionGroup as failed:  # the first of them ended the others
        raise failed.exceptions[0] from None


async def deploy(
    deployer: Account,
    organisations: Sequence[OrganisationKeys],
    builders: Sequence[LocalSigner],
    *,
    notice: int = 24 * 3600,
) -> Deployment:
    """Deploy consortium and orders contract. The orders contract must still be listed by motion."""
    head = await deployer.ask("eth_blockNumber")
    genesis = bytes.fromhex((await deployer.ask("eth_getBlockByNumber", "0x0", False))["hash"][2:])
    consortium = created_at(deployer.signer.address, await deployer.nonce())
    data = load("Consortium").bytecode + encode(
        consortium_interface().constructor,
        _founding(deployer.chain_id, consortium, organisations, builders, notice),
    )
    first = await deployer.send(None, data, gas=DEPLOY_GAS)
    orders = created_at(deployer.signer.address, await deployer.nonce())
    second = await deployer.send(None, orders_code(consortium, None, genesis), gas=DEPLOY_GAS)
    await deployer.wait(first, second)
    return Deployment(deployer.chain_id, genesis, consortium, orders, int(head, 16))


def orders_code(consortium: ids.Address, predecessor: ids.Address | None, genesis: bytes) -> bytes:
    """Return the creation code of an orders contract."""
    arguments = (consortium, predecessor or bytes(20), genesis)
    return load("MaintenanceOrders").bytecode + encode(orders_interface().constructor, arguments)


def created_at(deployer: ids.Address, nonce: int) -> ids.Address:
    """Return the address of the contract that this transaction will create."""
    encoded: bytes = rlp.encode([deployer, nonce])
    return ids.Address(keccak(encoded)[12:])


def version_id(chain_id: int, consortium: ids.Address, terms: VersionTerms) -> ids.VersionId:
    """Return the id of an asset version: commits to chain, consortium and every term."""
    return ids.VersionId(
        keccak(encode(["uint256", "address", VERSION], [chain_id, consortium, terms.as_tuple()]))
    )


def _founding(
    chain_id: int,
    consortium: ids.Address,
    organisations: Sequence[OrganisationKeys],
    builders: Sequence[LocalSigner],
    notice: int,
) -> tuple[Any, ...]:
    builder = role_number("Builder")
    return (
        [item.addresses() for item in organisations],
        [
            item.proofs(consortium, chain_id, number)
            for number, item in enumerate(organisations, start=1)
        ],
        [ids.checksum(item.address) for item in builders],
        [item.prove_possession(consortium, chain_id, 1, builder) for item in builders],
        notice,
    )
