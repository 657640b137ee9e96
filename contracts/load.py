"""The committed artifacts, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract. `immutables` are (start, length) in the deployed code, filled at deployment."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed: bytes
    immutables: tuple[tuple[int, int], ...]
    storage: dict[str, int]

    def matches(self, code: bytes) -> bool:
        """Say whether deployed code is this contract's, whatever its immutables are."""
        return self._masked(code) == self._masked(self.deployed)

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked)


@cache
def load(name: str) -> Artifact:
    """Return the artifact of `Consortium` or `MaintenanceOrders`."""
    fields = json.loads(_read(f"{name}.json"))
    return Artifact(
        name=name,
        abi=fields["abi"],
        bytecode=bytes.fromhex(fields["bytecode"][2:]),
        deployed=bytes.fromhex(fields["deployedBytecode"][2:]),
        immutables=tuple((start, length) for start, length in fields["immutables"]),
        storage={slot["label"]: slot["slot"] for slot in fields["storage"]},
    )


@cache
def enums() -> dict[str, list[str]]:
    """Return the contracts' enums: name -> member names in order."""
    loaded: dict[str, list[str]] = json.loads(_read("enums.json"))
    return loaded


def _read(name: str) -> str:
    return resources.files("contracts").joinpath("artifacts", name).read_text(encoding="utf-8")
