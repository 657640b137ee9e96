from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from trie.hexary import HexaryTrie

from validators.network import genesis
from validators.network.trie_root import trie_root

Build = Callable[..., dict[str, Any]]


def recorded(name: str) -> Path:
    data = os.environ.get("MOL_TEST_DATA")
    if not data or not (Path(data) / "chain" / name).is_dir():
        pytest.skip(f"MOL_TEST_DATA names no folder with recordings of {name}")
    return Path(data) / "chain" / name


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def block_zero(folder: Path) -> str:
    with gzip.open(folder / "orders.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            exchange = json.loads(line)
            request = exchange.get("request") or {}
            if request.get("params", [None])[:1] == ["earliest"]:
                return str(exchange["response"]["result"]["hash"])
    pytest.fail("block 0 is not in the recording")


def validators(network: dict[str, Any]) -> list[str]:
    return [n["address"] for n in network["nodes"] if n["validator_in_genesis"]]


@pytest.mark.parametrize(
    ("name", "build", "who"),
    [
        ("besu-qbft", genesis.besu, "validators"),
        ("goquorum-qbft", genesis.goquorum, "validators"),
        ("geth-clique", genesis.clique, "signers"),
    ],
)
def test_a_genesis_is_the_one_that_a_real_network_ran_with(
    name: str, build: Build, who: str
) -> None:
    folder = recorded(name)
    real, network = read(folder, "genesis.json"), read(folder, "network.json")

    built = build(
        chain_id=network["chain_id"],
        period=network["block_period_s"],
        funded=list(real["alloc"]),
        **{who: validators(network)},
    )

    assert built == real


@pytest.mark.parametrize("name", ["besu-qbft", "goquorum-qbft", "geth-clique"])
def test_the_digest_is_the_hash_that_real_nodes_gave_block_zero(name: str) -> None:
    folder = recorded(name)

    assert genesis.digest(read(folder, "genesis.json")) == block_zero(folder)


def test_the_order_in_which_signers_are_given_does_not_matter() -> None:
    signers: Sequence[str] = ["0x" + "22" * 20, "0x" + "11" * 20]

    one = genesis.clique(chain_id=1, signers=signers, period=1, funded=[])
    other = genesis.clique(chain_id=1, signers=signers[::-1], period=1, funded=[])

    assert one == other
    assert one["extraData"][66:146] == "11" * 20 + "22" * 20


def test_a_trie_with_short_nodes_embeds_them() -> None:
    items = {b"doe1": b"reindeer", b"dog1": b"puppy", b"dogg": b"cat"}
    rival = HexaryTrie({})
    for key, value in items.items():
        rival[key] = value

    assert trie_root(items) == rival.root_hash
