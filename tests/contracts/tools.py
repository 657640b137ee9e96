"""The programs that judge the contracts: forge, halmos, slither. Each is missed aloud."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts"
SOURCES = CONTRACTS / "src"
PROOFS = CONTRACTS / "test" / "proof"
NODE_BIN = CONTRACTS / "node_modules" / ".bin"
PROOF_BIN = ROOT / ".venv-proof" / "bin"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def need_compiler() -> None:
    """Skip, and say why, where the pinned compiler or forge is missing."""
    if shutil.which("node") is None:
        pytest.skip("node is not here: no Solidity compiler")
    if not (NODE_BIN / "forge").exists():
        pytest.skip("the pinned compiler is not installed: make setup-peers")


def need_prover(program: str) -> None:
    """Skip, and say why, where halmos or slither is missing."""
    need_compiler()
    if not (PROOF_BIN / program).exists():
        pytest.skip(f"{program} is not installed: make setup-peers")


def run(
    *command: str, profile: str, folder: Path = CONTRACTS, seconds: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run a program of theirs in a contracts folder; what it says goes to the caller."""
    path = os.pathsep.join([str(NODE_BIN), str(PROOF_BIN), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "FOUNDRY_PROFILE": profile, "NO_COLOR": "1"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def said(done: subprocess.CompletedProcess[str], lines: int = 60) -> str:
    """Return the end of what it said."""
    text = COLOUR.sub("", done.stdout + done.stderr)
    return "\n".join(text.splitlines()[-lines:])
