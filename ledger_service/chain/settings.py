"""What a client must be told of a chain: nodes, fees, finality, contracts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ledger_service.domain import errors, ids
from ledger_service.domain.order import OrdersDomain
from ledger_service.domain.sealers import EPOCH


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are. `block` is the height to follow from."""

    chain_id: int
    genesis: bytes
    consortium: ids.Address
    orders: ids.Address
    block: int

    @property
    def domain(self) -> OrdersDomain:
        """Return the EIP-712 domain of the orders contract."""
        return OrdersDomain(self.chain_id, self.orders, self.genesis)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "chainId": self.chain_id,
            "genesis": self.genesis.hex(),
            "consortium": ids.checksum(self.consortium),
            "orders": ids.checksum(self.orders),
            "block": self.block,
        }

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Read a deployment file. Raise ConfigError."""
        fields = read_json(path, "deployment file", "`mol contracts deploy` writes it")
        try:
            return cls(
                chain_id=int(fields["chainId"]),
                genesis=ids.parse32(fields["genesis"]),
                consortium=ids.parse_address(fields["consortium"]),
                orders=ids.parse_address(fields["orders"]),
                block=int(fields["block"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise errors.ConfigError("Not a deployment file.", file=path, cause=exc) from exc


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """Nodes and rules of a network, as `mol network` writes them in network.json.

    `fees`: fields of a transaction in wei, by their JSON-RPC names. `period`: seconds between
    blocks, 0 for on demand. `timeout`: seconds until a node that is silent is passed over.
    `names`: of the nodes, in the order of `rpc`; `sealing`: which of them are validators;
    `validators`: how many the network has, listed here or not. `epoch`: after how many blocks the
    network forgets open votes on who seals. `check_seals`: False where those who seal are not
    chosen by votes in headers.
    """

    kind: str
    chain_id: int
    rpc: tuple[str, ...]
    ws: tuple[str, ...]
    finality_depth: int
    period: float
    fees: tuple[tuple[str, int], ...]
    timeout: float = 10.0
    names: tuple[str, ...] = ()
    sealing: tuple[bool, ...] = ()
    validators: int = 0
    epoch: int = EPOCH
    check_seals: bool = True

    @property
    def labels(self) -> tuple[str, ...]:
        """Return what people call each node: its name, or its host where not each has a name."""
        if len(self.names) == len(self.rpc):
            return self.names
        return tuple(urlsplit(url).netloc.rpartition("@")[2] for url in self.rpc)

    def through(self, *indexes: int) -> ChainSettings:
        """Return the settings with these nodes alone."""
        return replace(
            self,
            rpc=tuple(self.rpc[i] for i in indexes),
            ws=tuple(self.ws[i] for i in indexes if i < len(self.ws)),
            names=tuple(self.names[i] for i in indexes if self.names),
            sealing=tuple(self.sealing[i] for i in indexes if self.sealing),
        )

    @classmethod
    def load(cls, path: Path, *, node: str = "") -> ChainSettings:
        """Read network.json; `node` names our own node, which is asked first. Raise ConfigError."""
        fields = read_json(path, "network file", "`mol network new` writes it")
        try:
            nodes = sorted(fields["nodes"], key=lambda item: item["name"] != node)
            if node and nodes[0]["name"] != node:
                raise errors.ConfigError("No such node.", found=node, file=path)
            return cls(
                kind=fields["kind"],
                chain_id=int(fields["chainId"]),
                rpc=tuple(item["rpc"] for item in nodes),
                ws=tuple(item["ws"] for item in nodes),
                finality_depth=int(fields["finality"]["depth"]),
                period=float(fields["blockPeriod"]),
                fees=_fees(fields["feePolicy"]),
                names=tuple(item["name"] for item in nodes),
                sealing=tuple(bool(item["validator"]) for item in nodes),
                validators=len(fields["validators"]),
                epoch=int(fields.get("epoch", EPOCH)),
                check_seals=bool(fields.get("checkSeals", True)),
            )
        except (KeyError, TypeError, ValueError, IndexError) as exc:
            raise errors.ConfigError("Not a network file.", file=path, cause=repr(exc)) from exc


def read_json(path: Path, what: str, hint: str) -> dict[str, Any]:
    """Read a JSON object from a file. Raise ConfigError that says what the file is for."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise errors.ConfigError(f"There is no {what}; {hint}.", found=path) from exc
    except (OSError, ValueError) as exc:
        raise errors.ConfigError(f"The {what} cannot be read: {exc}", found=path) from exc
    if not isinstance(fields, dict):
        raise errors.ConfigError(f"The {what} is not a JSON object.", found=path)
    return fields


def _fees(policy: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    names = ("gasPrice",) if policy["type"] == 0 else ("maxFeePerGas", "maxPriorityFeePerGas")
    return tuple((name, int(policy[name])) for name in names)
