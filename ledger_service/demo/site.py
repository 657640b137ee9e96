"""Where everything of a demo plant lies, and who takes part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation of the demo. `number` is what the contract will give it: in order, from 1."""

    number: int
    name: str


PARTIES = (Party(1, "factory"), Party(2, "manufacturer"), Party(3, "safety-authority"))
HOST = PARTIES[0]
SAFETY = PARTIES[2]


@dataclass(frozen=True, slots=True)
class Site:
    """The folders and files of one plant below `root`."""

    root: Path

    @property
    def chain(self) -> Path:
        """Genesis, nodes, network.json."""
        return self.root / "chain"

    @property
    def network(self) -> Path:
        """What `mol network` wrote."""
        return self.chain / "network.json"

    @property
    def service(self) -> Path:
        """The service's folder, with its mol.toml."""
        return self.root / "service"

    @property
    def config(self) -> Path:
        """The service's settings."""
        return self.service / "mol.toml"

    @property
    def deployment(self) -> Path:
        """Addresses of the contracts."""
        return self.root / "deployment.json"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.root / "logs"

    @property
    def edge(self) -> Path:
        """Robots' recordings and the evidence made of them."""
        return self.root / "edge"

    @property
    def models(self) -> Path:
        """Detectors, one folder per detector id."""
        return self.root / "models"

    @property
    def report(self) -> Path:
        """The machine-readable end of the story."""
        return self.root / "report.json"

    def agent(self, party: Party) -> Path:
        """Return an organisation's folder: its config, keys, journal and kept bytes."""
        return self.root / "agents" / party.name

    def keystore(self, owner: str, role: str) -> Path:
        """Return a keystore file; its password lies beside it, readable by the owner alone."""
        return self.root / "keys" / f"{owner}-{role}.json"

    def token(self, name: str) -> Path:
        """Return the file of a bearer token."""
        return self.root / "tokens" / name
