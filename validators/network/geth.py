"""Nodes of the geth family: geth 1.13.15 for Clique, GoQuorum 24.4.1 for QBFT.

`--port` has no address part, so the peer port is bound to loopback by a TOML file. A signer is
never started with `--mine`: it would seal its own next block before it meets a peer, which splits
the signers for good after a halt. It begins by `miner_start` once it is level with its peers.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence

from eth_account import Account

from ledger_service.domain import errors
from validators.network.files import write_atomically
from validators.network.plan import Launch, Plan

#: The password is 256 random bits, so stretching it would only slow the start.
_KEYSTORE_ITERATIONS = 1000
_SECRET = 0o600
_POOL = (
    *("--txpool.accountslots", "20000", "--txpool.globalslots", "60000"),
    *("--txpool.accountqueue", "20000", "--txpool.globalqueue", "60000"),
)


async def prepare(plan: Plan, launch: Launch, sealing_key: bytes, node_key: bytes) -> None:
    """Write a node's keys and configuration and initialise its database. Raise NodeFailed."""
    folder = plan.node(launch)
    write_atomically(folder / "nodekey", node_key.hex().encode(), _SECRET)
    write_atomically(folder / "node.toml", _toml(plan, launch).encode())
    if plan.software == "geth":
        password = secrets.token_hex(32)
        write_atomically(folder / "password", password.encode(), _SECRET)
        store = Account.encrypt(sealing_key, password, "pbkdf2", _KEYSTORE_ITERATIONS)
        name = f"UTC--2026-01-01T00-00-00.000000000Z--{launch.address.removeprefix('0x')}"
        write_atomically(folder / "keystore" / name, json.dumps(store).encode(), _SECRET)
    process = await asyncio.create_subprocess_exec(
        *(plan.binary, "--datadir", str(folder), "init", str(plan.genesis)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, problem = await process.communicate()
    if process.returncode:
        text = problem.decode(errors="replace").splitlines()[-5:]
        raise errors.NodeFailed("The database could not be made.", node=launch.name, log=text)


def command(plan: Plan, launch: Launch) -> list[str]:
    """Return the command line of a node."""
    folder = plan.node(launch)
    common = [
        *(plan.binary, "--config", str(folder / "node.toml"), "--datadir", str(folder)),
        *("--nodekey", str(folder / "nodekey"), "--networkid", str(plan.chain_id)),
        *("--nat", "none", "--nodiscover", "--ipcdisable"),
        *("--syncmode", "full", "--gcmode", "archive", "--cache", "128"),
        *("--http", "--http.addr", "127.0.0.1", "--http.port", str(launch.http)),
        *("--ws", "--ws.addr", "127.0.0.1", "--ws.port", str(launch.ws), "--ws.origins", "*"),
        *("--ws.api", "eth,net,web3", "--miner.gaslimit", str(plan.gas_limit), *_POOL),
    ]
    return common + (_clique(plan, launch) if plan.software == "geth" else _QUORUM)


def environment(plan: Plan) -> dict[str, str]:
    """Return what a node needs in its environment."""
    # GoQuorum would look for a private transaction manager without it.
    return {"PRIVATE_CONFIG": "ignore"} if plan.software == "goquorum" else {}


_QUORUM = [
    *("--http.api", "eth,net,web3,istanbul,txpool", "--mine", "--miner.threads", "1"),
    *("--miner.gasprice", "0"),
]


def _clique(plan: Plan, launch: Launch) -> list[str]:
    return [
        *("--http.api", "eth,net,web3,clique,txpool,miner"),
        *("--authrpc.addr", "127.0.0.1", "--authrpc.port", str(launch.auth)),
        *("--rpc.batch-request-limit", "5000", "--rpc.batch-response-max-size", "200000000"),
        # A minimum price of 0 is silently raised to 1 gwei; one wei is the least there is.
        *("--miner.gasprice", "1", "--miner.etherbase", launch.address),
        *("--unlock", launch.address, "--password", str(plan.node(launch) / "password")),
        "--allow-insecure-unlock",
    ]


def _toml(plan: Plan, launch: Launch) -> str:
    peers = [other.enode for other in plan.launches if other is not launch]
    return (
        "[Node.P2P]\n"
        f'ListenAddr = "127.0.0.1:{launch.p2p}"\n'
        "NoDiscovery = true\n"
        "MaxPeers = 25\n"
        'NetRestrict = ["127.0.0.0/8"]\n'
        f"StaticNodes = {_list(peers)}\n"
    )


def _list(texts: Sequence[str]) -> str:
    return json.dumps(list(texts))
