"""Besu nodes (>= 26.8) for QBFT, with the flags that ran: sequenced pool, Forest, free gas.

The sequenced pool keeps the order of arrival, the layered one would let a verdict overtake its
proposal; Forest answers state and proofs of any block. Both come with the ENTERPRISE profile.
"""

from __future__ import annotations

import json
import os

from validators.network.files import write_atomically
from validators.network.plan import Launch, Plan

_SECRET = 0o600
HEAP = "512m"


def prepare(plan: Plan, launch: Launch, node_key: bytes) -> None:
    """Write a node's key, which is its validator key too, and the list of its peers."""
    folder = plan.node(launch)
    write_atomically(folder / "key", node_key.hex().encode(), _SECRET)
    peers = [other.enode for other in plan.launches if other is not launch]
    write_atomically(folder / "static-nodes.json", json.dumps(peers).encode())


def command(plan: Plan, launch: Launch) -> list[str]:
    """Return the command line of a node."""
    return [
        plan.binary,
        f"--data-path={plan.node(launch)}",
        f"--genesis-file={plan.genesis}",
        "--profile=ENTERPRISE",
        "--sync-mode=FULL",
        "--data-storage-format=FOREST",
        "--tx-pool=SEQUENCED",
        # One relay key may use the whole pool; the profile's share refuses its sixth transaction.
        "--tx-pool-limit-by-account-percentage=1",
        "--min-gas-price=0",
        "--revert-reason-enabled",
        "--discovery-enabled=false",
        "--nat-method=NONE",
        "--p2p-host=127.0.0.1",
        "--p2p-interface=127.0.0.1",
        f"--p2p-port={launch.p2p}",
        "--rpc-http-enabled",
        "--rpc-http-host=127.0.0.1",
        f"--rpc-http-port={launch.http}",
        "--rpc-http-api=ETH,NET,WEB3,QBFT,TXPOOL",
        "--rpc-ws-enabled",
        "--rpc-ws-host=127.0.0.1",
        f"--rpc-ws-port={launch.ws}",
        "--rpc-ws-api=ETH,NET,WEB3",
        "--host-allowlist=localhost,127.0.0.1",
    ]


def environment() -> dict[str, str]:
    """Return what a node needs in its environment; options that the operator set are left alone."""
    return {} if "BESU_OPTS" in os.environ else {"BESU_OPTS": f"-Xmx{HEAP}"}
