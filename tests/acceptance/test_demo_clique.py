"""`mol demo --chain clique`: the same on four real nodes, each agent on its own."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.demos import Ended, check_validated, mol_demo
from validators.network.geth_build import cached_geth

pytestmark = pytest.mark.clique


def test_four_real_nodes_validate_the_same_orders(tmp_path: Path) -> None:
    if not cached_geth().exists() and shutil.which("go") is None:
        pytest.skip("geth 1.13.15 is not built and Go is not there to build it")
    folder = tmp_path / "out"

    done = mol_demo("--chain", "clique", "--out", str(folder), "--json")

    assert done.returncode == 0, done.stderr[-3000:]
    ended = Ended(folder, json.loads(done.stdout))
    chain = ended.report["chain"]
    assert (chain["kind"], chain["validators"]) == ("clique", 4)
    assert len(ended.orders("Validated")) >= 5
    for order in ended.orders("Validated"):
        check_validated(ended, order)
    assert [order["reason"] for order in ended.orders("Refused")] == ["Score conflict"]
    agents = (folder / "agents").glob("*/agent.toml")
    nodes = [tomllib.loads(file.read_text("utf-8"))["node"] for file in agents]
    assert len(set(nodes)) == 3
