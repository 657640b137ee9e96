"""A QBFT network for containers: genesis, keys, peers by fixed addresses. Nothing is started here.

Each node runs in a container of its own (docker-compose.yml) and finds its key and its peers in
the folder that is mounted there; clients find the nodes in network.json.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from eth_account import Account
from eth_keys.datatypes import PrivateKey

from ledger_service.domain import errors
from validators.network import genesis
from validators.network.files import FREE, Network, Node, write_atomically

RPC_PORT, WS_PORT, P2P_PORT = 8545, 8546, 30303
LEAST = 4
#: The image runs Besu as this user; the key is readable by its owner alone.
KEY_MODE = 0o600


def create(folder: Path, hosts: Sequence[str], *, chain_id: int, period: int) -> Network:
    """Write the files of one Besu validator per address. Raise BadNetwork.

    `hosts`: IPv4 addresses, for enodes are not resolved by name. `period` in seconds.
    """
    _check(folder, hosts, period)
    keys = [PrivateKey(secrets.token_bytes(32)) for _ in hosts]
    addresses = [Account.from_key(key.to_bytes()).address.lower() for key in keys]
    block_zero = genesis.besu(chain_id=chain_id, validators=addresses, period=period, funded=[])
    write_atomically(folder / "genesis.json", json.dumps(block_zero, indent=1).encode() + b"\n")
    enodes = [
        f"enode://{key.public_key.to_hex()[2:]}@{host}:{P2P_PORT}?discport=0"
        for key, host in zip(keys, hosts, strict=True)
    ]
    nodes = []
    for number, (key, host, address, enode) in enumerate(
        zip(keys, hosts, addresses, enodes, strict=True), 1
    ):
        own = folder / "nodes" / f"node-{number}"
        write_atomically(own / "key", key.to_bytes().hex().encode(), KEY_MODE)
        peers = [other for other in enodes if other != enode]
        write_atomically(own / "static-nodes.json", json.dumps(peers).encode())
        rpc, ws = f"http://{host}:{RPC_PORT}", f"ws://{host}:{WS_PORT}"
        nodes.append(Node(own.name, rpc, ws, validator=True, address=address, enode=enode))
    network = Network(
        kind="qbft",
        software="besu",
        chain_id=chain_id,
        block_period=period,
        finality_depth=0,
        nodes=tuple(nodes),
        validators=tuple(sorted(addresses)),
        genesis_digest=genesis.digest(block_zero),
        genesis_file="genesis.json",
        fee_policy=FREE,
    )
    network.save(folder)
    return network


def _check(folder: Path, hosts: Sequence[str], period: int) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise errors.BadNetwork("The folder is not empty.", folder=folder)
    if len(hosts) < LEAST or len(set(hosts)) != len(hosts) or period < 1:
        raise errors.BadNetwork(
            "QBFT needs 4 different hosts, to bear one lost, and a period of 1 s.", found=hosts
        )
    for host in hosts:
        try:
            IPv4Address(host)
        except ValueError as exc:
            raise errors.BadNetwork("Not an IPv4 address.", found=host) from exc
