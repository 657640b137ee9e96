"""How the nodes of a folder are started: launch.json, and the layout of the folder.

DIR/network.json       what clients need
DIR/genesis.json       block 0
DIR/launch.json        this file: program and ports
DIR/nodes/NAME/        keys (0600), configuration and data of one node
DIR/logs/NAME.log      its output
DIR/run/NAME.pid       its process, when `mol network start` started it
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ledger_service.domain import errors
from validators.network.files import Software, write_atomically

FILE_NAME = "launch.json"
GAS_LIMIT = 30_000_000


@dataclass(frozen=True, slots=True)
class Launch:
    """One node: its loopback ports, its sealing address, its place in the peer network."""

    name: str
    http: int
    ws: int
    p2p: int = 0
    auth: int = 0
    address: str = ""
    enode: str = ""

    @property
    def rpc(self) -> str:
        """The HTTP address."""
        return f"http://127.0.0.1:{self.http}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All nodes of a folder, and the program that runs them."""

    folder: Path
    software: Software
    binary: str
    chain_id: int
    period: float
    launches: tuple[Launch, ...]
    gas_limit: int = GAS_LIMIT

    def node(self, launch: Launch) -> Path:
        """Return a node's own folder."""
        return self.folder / "nodes" / launch.name

    def log(self, launch: Launch) -> Path:
        """Return where a node's output goes."""
        return self.folder / "logs" / f"{launch.name}.log"

    def pid(self, launch: Launch) -> Path:
        """Return the pid file of a detached node."""
        return self.folder / "run" / f"{launch.name}.pid"

    @property
    def genesis(self) -> Path:
        """The genesis file."""
        return self.folder / "genesis.json"

    def save(self) -> None:
        """Write launch.json."""
        raw = {
            "software": self.software,
            "binary": self.binary,
            "chainId": self.chain_id,
            "period": self.period,
            "gasLimit": self.gas_limit,
            "nodes": [asdict(launch) for launch in self.launches],
        }
        write_atomically(self.folder / FILE_NAME, json.dumps(raw, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder's launch.json. Raise BadNetwork."""
        path = folder / FILE_NAME
        try:
            raw = json.loads(path.read_bytes())
            return cls(
                folder=folder.resolve(),
                software=raw["software"],
                binary=raw["binary"],
                chain_id=raw["chainId"],
                period=raw["period"],
                launches=tuple(Launch(**node) for node in raw["nodes"]),
                gas_limit=raw.get("gasLimit", GAS_LIMIT),
            )
        except FileNotFoundError as exc:
            text = "There is no network; make one with `mol network new`."
            raise errors.BadNetwork(text, folder=folder) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise errors.BadNetwork(file=path, found=repr(exc)) from exc
