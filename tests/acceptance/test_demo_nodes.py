"""`mol demo --chain clique|qbft`: the same on four real nodes, each agent on its own."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.demos import Ended, check_validated, mol_demo, node_or_skip


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("clique", marks=pytest.mark.clique),
        pytest.param("qbft", marks=pytest.mark.besu),
    ],
)
def test_four_real_nodes_validate_the_same_orders(tmp_path: Path, kind: str) -> None:
    asyncio.run(node_or_skip(kind))
    folder = tmp_path / "out"
    programs = {
        name: os.environ[name] for name in ("MOL_BESU", "MOL_GOQUORUM") if name in os.environ
    }

    done = mol_demo("--chain", kind, "--out", str(folder), "--json", **programs)

    assert done.returncode == 0, done.stderr[-3000:]
    ended = Ended(folder, json.loads(done.stdout))
    chain = ended.report["chain"]
    assert (chain["kind"], chain["validators"]) == (kind, 4)
    assert len(ended.orders("Validated")) >= 5
    for order in ended.orders("Validated"):
        check_validated(ended, order)
    assert [order["reason"] for order in ended.orders("Refused")] == ["Score conflict"]
    agents = (folder / "agents").glob("*/agent.toml")
    nodes = [tomllib.loads(file.read_text("utf-8"))["node"] for file in agents]
    assert len(set(nodes)) == 3
