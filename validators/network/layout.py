"""Making the folder of a network: keys, genesis, configuration, network.json last of all."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account import Account
from eth_keys.datatypes import PrivateKey

from ledger_service.domain import errors
from validators.network import besu, genesis, geth
from validators.network.binaries import find_qbft
from validators.network.files import (
    FREE,
    FREE_LEGACY,
    NOT_A_NETWORK,
    ONE_WEI,
    FeePolicy,
    Kind,
    Network,
    Node,
    Software,
    write_atomically,
)
from validators.network.geth_build import Report, ensure_geth
from validators.network.plan import GAS_LIMIT, Launch, Plan
from validators.network.ports import free_ports

CHAIN_ID = 1337
QBFT_LEAST = 4
_PORTS_PER_NODE = 4
_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
_FEES: dict[Software, FeePolicy] = {
    "geth": ONE_WEI,
    "besu": FREE,
    "goquorum": FREE_LEGACY,
    "embedded": FREE,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The network to make. `period` in seconds, 0 = on demand; `fund` holds addresses; gas a block."""

    kind: Kind
    validators: int = 4
    period: float = 1.0
    chain_id: int = CHAIN_ID
    fund: Sequence[str] = ()
    node: str | None = None
    gas_limit: int = GAS_LIMIT


@dataclass(frozen=True, slots=True)
class _Keys:
    sealing: bytes
    node: bytes


async def create(folder: Path, wanted: Wanted, report: Report = lambda _: None) -> Network:
    """Make a network in an empty or new folder; nothing is started, nothing is left by a failure.

    Raise BadNetwork for a network that cannot run, NodeBinaryMissing without its program.
    """
    check(wanted)
    if folder.exists() and any(folder.iterdir()):  # noqa: ASYNC240  one local call
        raise errors.BadNetwork("The folder is not empty.", folder=folder)
    software, binary = await _program(wanted, report)
    made_here = not folder.exists()  # noqa: ASYNC240  one local call
    try:
        return await _fill(folder.resolve(), wanted, software, binary)  # noqa: ASYNC240  same
    except BaseException:
        for left in [folder] if made_here else list(folder.iterdir()):  # noqa: ASYNC240  same
            await asyncio.to_thread(_remove, left)
        raise


def check(wanted: Wanted) -> None:
    """Raise BadNetwork for what cannot run."""
    whole = wanted.period == int(wanted.period)
    if wanted.validators < 1 or wanted.period < 0:
        raise errors.BadNetwork("At least one validator, and no negative period.")
    if strange := [address for address in wanted.fund if not _ADDRESS.fullmatch(address)]:
        raise errors.BadNetwork("These are no addresses.", found=strange)
    if wanted.kind == "embedded":
        return
    if not whole:
        raise errors.BadNetwork("The period is whole seconds.", found=wanted.period)
    if wanted.kind == "clique" and wanted.period == 0 and wanted.validators > 1:
        raise errors.BadNetwork("Several signers without a period fork; take 1 signer or 1 second.")
    if wanted.kind == "qbft" and (wanted.validators < QBFT_LEAST or wanted.period < 1):
        raise errors.BadNetwork("QBFT needs 4 validators, to bear one lost, and a period of 1 s.")


def finality_depth(kind: Kind, validators: int) -> int:
    """Return how many further blocks make a block final.

    QBFT and the embedded chain: none. Clique: N/2+1, by when more than half of the signers have
    built on it (EIP-225 lets nobody sign twice in so many blocks); a single signer has no rival.
    """
    return validators // 2 + 1 if kind == "clique" and validators > 1 else 0


async def _program(wanted: Wanted, report: Report) -> tuple[Software, str]:
    if wanted.kind == "embedded":
        return "embedded", ""
    if wanted.kind == "qbft":
        return await find_qbft(wanted.node)
    return "geth", wanted.node or str(await ensure_geth(report))


async def _fill(folder: Path, wanted: Wanted, software: Software, binary: str) -> Network:
    secret = [_keys(software) for _ in range(wanted.validators)]
    plan = _plan(folder, wanted, software, binary, secret)
    block_zero = {**_genesis(plan, wanted), "gasLimit": hex(wanted.gas_limit)}
    write_atomically(plan.genesis, json.dumps(block_zero, indent=1).encode() + b"\n")
    for launch, own in zip(plan.launches, secret, strict=False):
        if software == "besu":
            besu.prepare(plan, launch, own.node)
        elif software != "embedded":
            await geth.prepare(plan, launch, own.sealing, own.node)
    plan.save()
    network = _network(plan, wanted, genesis.digest(block_zero))
    network.save(folder)
    return network


def _plan(
    folder: Path, wanted: Wanted, software: Software, binary: str, secret: Sequence[_Keys]
) -> Plan:
    at = (wanted.chain_id, wanted.period)
    plan = Plan(folder, software, binary, *at, launches=(), gas_limit=wanted.gas_limit)
    if software == "embedded":
        (port,) = free_ports(1)
        return replace(plan, launches=(Launch(name="embedded", http=port, ws=port),))
    ports = iter(free_ports(_PORTS_PER_NODE * wanted.validators))
    launches = [
        Launch(
            name=f"node-{number}",
            http=next(ports),
            ws=next(ports),
            p2p=(p2p := next(ports)),
            auth=next(ports),
            address=Account.from_key(own.sealing).address.lower(),
            enode=_enode(own.node, p2p),
        )
        for number, own in enumerate(secret, 1)
    ]
    return replace(plan, launches=tuple(launches))


def _genesis(plan: Plan, wanted: Wanted) -> genesis.Genesis:
    sealers = [launch.address for launch in plan.launches]
    period, funded = int(wanted.period), list(wanted.fund)
    match plan.software:
        case "geth":
            return genesis.clique(
                chain_id=wanted.chain_id, signers=sealers, period=period, funded=funded
            )
        case "besu" | "goquorum":
            build: Callable[..., genesis.Genesis] = getattr(genesis, plan.software)
            return build(chain_id=wanted.chain_id, validators=sealers, period=period, funded=funded)
        case "embedded":
            return genesis.embedded(chain_id=wanted.chain_id, funded=funded)


def _network(plan: Plan, wanted: Wanted, digest: str) -> Network:
    real = plan.software != "embedded"
    nodes = tuple(
        Node(
            name=launch.name,
            rpc=launch.rpc,
            ws=f"ws://127.0.0.1:{launch.ws}",
            validator=real,
            address=launch.address or None,
            enode=launch.enode or None,
        )
        for launch in plan.launches
    )
    return Network(
        kind=wanted.kind,
        software=plan.software,
        chain_id=wanted.chain_id,
        block_period=wanted.period,
        finality_depth=finality_depth(wanted.kind, wanted.validators),
        nodes=nodes,
        validators=tuple(sorted(launch.address for launch in plan.launches)) if real else (),
        genesis_digest=digest,
        genesis_file=plan.genesis.name,
        fee_policy=_FEES[plan.software],
        note="" if real else NOT_A_NETWORK,
    )


def _keys(software: Software) -> _Keys:
    """Make the keys of a node; under QBFT a validator seals with its node key."""
    sealing = secrets.token_bytes(32)
    return _Keys(sealing, secrets.token_bytes(32) if software == "geth" else sealing)


def _enode(node_key: bytes, port: int) -> str:
    public = PrivateKey(node_key).public_key.to_hex()[2:]
    return f"enode://{public}@127.0.0.1:{port}?discport=0"


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
