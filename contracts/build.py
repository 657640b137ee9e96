"""Compile the contracts with the pinned compiler: the same sources give the same bytes.

`python -m contracts.build` writes the artifacts anew; a test compares them with a fresh build.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import solcx

HERE = Path(__file__).parent
ARTIFACTS = HERE / "artifacts"
SOLC = HERE / "solc"
PUBLISHED = ("Consortium", "MaintenanceOrders")
ENUMS = ("Status", "Why", "Life", "Role", "Kind")
# london: geth's Clique, the oldest chain that is supported, has nothing newer.
SETTINGS: dict[str, Any] = {
    "evmVersion": "london",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1000},
    "metadata": {"bytecodeHash": "none"},
    "outputSelection": {
        "*": {
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
                "storageLayout",
            ],
            "": ["ast"],
        }
    },
}


def digest_of(texts: dict[str, str]) -> str:
    """Return what an artifact remembers of its sources: SHA-256 of all of them, by name."""
    return hashlib.sha256("".join(texts.values()).encode()).hexdigest()


def read(sources: Path = HERE / "src") -> dict[str, str]:
    """Return file name -> text of the sources."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(sources.glob("*.sol"))}


def compile_all(sources: Path = HERE / "src") -> dict[str, str]:
    """Return artifact file name -> text, from the sources as they are."""
    texts = read(sources)
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in texts.items()},
            "settings": SETTINGS,
        },
        solc_binary=str(SOLC),
    )
    digest = digest_of(texts)
    artifacts = {
        f"{name}.json": _dump(_artifact(output["contracts"][f"{name}.sol"][name], digest))
        for name in PUBLISHED
    }
    artifacts["enums.json"] = _dump(_enums(output["sources"]["Types.sol"]["ast"]))
    return artifacts


def _artifact(compiled: dict[str, Any], digest: str) -> dict[str, Any]:
    deployed = compiled["evm"]["deployedBytecode"]
    references = deployed["immutableReferences"].values()
    return {
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutables": sorted([ref["start"], ref["length"]] for refs in references for ref in refs),
        "storage": [
            {"label": slot["label"], "slot": int(slot["slot"]), "offset": slot["offset"]}
            for slot in compiled["storageLayout"]["storage"]
        ],
        "compiler": "solc 0.8.37, london, via IR, optimizer runs 1000",
        "sources": digest,
    }


def _enums(ast: dict[str, Any]) -> dict[str, list[str]]:
    return {
        node["name"]: [member["name"] for member in node["members"]]
        for node in ast["nodes"]
        if node["nodeType"] == "EnumDefinition" and node["name"] in ENUMS
    }


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write the artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)
    for name, text in compile_all().items():
        (ARTIFACTS / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {len(text)} bytes\n")


if __name__ == "__main__":
    main()
