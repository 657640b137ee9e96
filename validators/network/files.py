"""The shape of network.json: what a client must know of a network, read and written atomically.

{"kind", "software", "chainId", "blockPeriod", "finality": {"depth"}, "nodes": [{"name", "rpc",
 "ws", "address"?, "enode"?, "validator"}], "validators", "genesisDigest", "genesisFile",
 "feePolicy": {"type", "gasPrice"?, "maxFeePerGas"?, "maxPriorityFeePerGas"?, "needsFunds"},
 "evm", "note"}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ledger_service.domain import errors

Kind = Literal["embedded", "clique", "qbft"]
Software = Literal["embedded", "geth", "besu", "goquorum"]

FILE_NAME = "network.json"
NOT_A_NETWORK = "One process, no network: nobody but this machine keeps or checks this chain."


@dataclass(frozen=True, slots=True)
class Node:
    """One node: where it answers, and which key it seals with (addresses are lower-case hex)."""

    name: str
    rpc: str
    ws: str
    validator: bool
    address: str | None = None
    enode: str | None = None


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """What a transaction must offer to be mined, in wei.

    `type` 0: legacy with `gas_price`; 2: EIP-1559 with the two maxima. `needs_funds`: the sender
    must hold ether for it, so a new key is funded by a transfer before it can send.
    """

    type: Literal[0, 2]
    needs_funds: bool
    gas_price: int | None = None
    max_fee_per_gas: int | None = None
    max_priority_fee_per_gas: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON shape, without what does not apply."""
        prices = {
            "gasPrice": self.gas_price,
            "maxFeePerGas": self.max_fee_per_gas,
            "maxPriorityFeePerGas": self.max_priority_fee_per_gas,
        }
        given = {name: price for name, price in prices.items() if price is not None}
        return {"type": self.type, **given, "needsFunds": self.needs_funds}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> FeePolicy:
        """Read the JSON shape."""
        return cls(
            type=raw["type"],
            needs_funds=raw["needsFunds"],
            gas_price=raw.get("gasPrice"),
            max_fee_per_gas=raw.get("maxFeePerGas"),
            max_priority_fee_per_gas=raw.get("maxPriorityFeePerGas"),
        )


FREE = FeePolicy(type=2, needs_funds=False, max_fee_per_gas=0, max_priority_fee_per_gas=0)
FREE_LEGACY = FeePolicy(type=0, needs_funds=False, gas_price=0)
#: geth raises a minimum price of zero to 1 gwei by itself; one wei is the least it can mean.
ONE_WEI = FeePolicy(type=2, needs_funds=True, max_fee_per_gas=10**6, max_priority_fee_per_gas=1)


@dataclass(frozen=True, slots=True)
class Network:
    """A network as its clients see it. `block_period` in seconds, 0 = on demand."""

    kind: Kind
    software: Software
    chain_id: int
    block_period: float
    finality_depth: int
    nodes: tuple[Node, ...]
    validators: tuple[str, ...]
    genesis_digest: str
    genesis_file: str
    fee_policy: FeePolicy
    evm: str = "london"
    note: str = ""

    def save(self, folder: Path) -> Path:
        """Write `folder`/network.json atomically and durably; return its path."""
        path = folder / FILE_NAME
        write_atomically(path, json.dumps(self.to_json(), indent=1).encode() + b"\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read network.json (or the folder it lies in). Raise BadNetwork."""
        place = path / FILE_NAME if path.is_dir() else path
        try:
            return cls.from_json(json.loads(place.read_bytes()))
        except FileNotFoundError as exc:
            raise errors.BadNetwork(
                "There is none; make one with `mol network new`.", file=place
            ) from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise errors.BadNetwork(file=place, found=repr(exc)) from exc

    def to_json(self) -> dict[str, Any]:
        """Return the JSON shape of the module docstring."""
        return {
            "kind": self.kind,
            "software": self.software,
            "chainId": self.chain_id,
            "blockPeriod": self.block_period,
            "finality": {"depth": self.finality_depth},
            "nodes": [_node_to_json(node) for node in self.nodes],
            "validators": list(self.validators),
            "genesisDigest": self.genesis_digest,
            "genesisFile": self.genesis_file,
            "feePolicy": self.fee_policy.to_json(),
            "evm": self.evm,
            "note": self.note,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Network:
        """Read the JSON shape; raise ValueError, KeyError or TypeError where it is not that."""
        if raw["kind"] not in get_args(Kind) or raw["software"] not in get_args(Software):
            message = f"unknown kind {raw['kind']} or software {raw['software']}"
            raise ValueError(message)
        return cls(
            kind=raw["kind"],
            software=raw["software"],
            chain_id=int(raw["chainId"]),
            block_period=raw["blockPeriod"],
            finality_depth=int(raw["finality"]["depth"]),
            nodes=tuple(Node(**node) for node in raw["nodes"]),
            validators=tuple(raw["validators"]),
            genesis_digest=raw["genesisDigest"],
            genesis_file=raw["genesisFile"],
            fee_policy=FeePolicy.from_json(raw["feePolicy"]),
            evm=raw["evm"],
            note=raw["note"],
        )


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file so that a reader, or a power cut, finds the old bytes or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _node_to_json(node: Node) -> dict[str, Any]:
    fields = {
        "name": node.name,
        "rpc": node.rpc,
        "ws": node.ws,
        "address": node.address,
        "enode": node.enode,
        "validator": node.validator,
    }
    return {name: value for name, value in fields.items() if value is not None}
