from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.probe import CODE, Sender
from validators.network import genesis
from validators.network.embedded.blocklog import BlockLog
from validators.network.embedded.genesis import Genesis
from validators.network.embedded.machine import Machine
from validators.network.embedded.methods import Methods
from validators.network.embedded.node import Node
from validators.network.embedded.rpc import answer
from validators.network.embedded.subscriptions import Subscriptions
from validators.network.files import FREE

ADDRESS = "0x" + "11" * 20
WORD = "0x" + "ff" * 32


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    machine = Machine(Genesis.load_or_make(tmp_path, 1337, [ADDRESS]), BlockLog(tmp_path / "log"))
    node = Node(machine, 0)
    sender = Sender(1337, FREE)
    for raw in (sender.sign(None, bytes.fromhex(CODE), gas=1_000_000), sender.sign(ADDRESS, b"")):
        await node.send(bytes.fromhex(raw[2:]))
    await node._make_block()
    yield node
    node.close()


async def test_no_parameters_make_a_method_fail_but_by_an_error_answer(node: Node) -> None:
    seed = time.time_ns()
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  no secret
    methods = Subscriptions(lambda _: None).methods(Methods(node))
    head = "0x" + node.head.hash.hex()
    atoms: list[Any] = [
        *(None, True, False, 0, 1, -5, 1.5, "", "0x", "0x0", "0x1", "0x00", "latest", "pending"),
        *(
            "earliest",
            "newHeads",
            "logs",
            ADDRESS,
            head,
            WORD,
            "0x02" + "c0" * 5,
            [],
            {},
            [ADDRESS],
        ),
        *([[head], None], ["0x0", WORD], ["zz"], [5], {"to": ADDRESS, "data": "0x12"}),
        *({"input": "0x" + CODE}, {"fromBlock": "0x0"}, {"fromBlock": []}, {"blockHash": head}),
        *({"blockHash": 5}, {"blockNumber": "0x1"}, {"topics": {}}, {"address": {}}),
        *({"address": [ADDRESS], "topics": [None, [head]]}, {"to": ADDRESS, "value": WORD}),
        *({"to": ADDRESS, "gas": "0x1"}, {"to": ADDRESS, "gas": WORD}),
    ]
    for _ in range(3000):
        name = chance.choice(list(methods))
        params = [chance.choice(atoms) for _ in range(chance.randint(0, 3))]

        reply = json.loads(await answer(json.dumps(_request(name, params)), methods) or b"")

        assert reply["id"] == 1
        assert ("result" in reply) != ("error" in reply)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[" * 1_000_000, -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (b'{"method": 5}', -32600),
        (b'{"id": 1, "method": "eth_nothing"}', -32601),
        (b'{"id": 1, "method": "eth_chainId", "params": {}}', -32602),
        (json.dumps([0] * 1001).encode(), -32600),
    ],
)
async def test_what_is_no_request_is_answered_by_its_error(
    node: Node, body: bytes, code: int
) -> None:
    reply = json.loads(await answer(body, Methods(node)) or b"")

    assert reply["error"]["code"] == code


async def test_a_batch_is_answered_in_order_and_notifications_not_at_all(node: Node) -> None:
    batch = [_request("eth_chainId", []), {"method": "eth_chainId"}, _request("net_version", [])]

    replies = json.loads(await answer(json.dumps(batch), Methods(node)) or b"")

    assert [reply["result"] for reply in replies] == ["0x539", "1337"]
    assert await answer(b'{"method": "eth_chainId"}', Methods(node)) is None


def test_block_zero_is_what_the_genesis_file_says(tmp_path: Path) -> None:
    raw = genesis.embedded(chain_id=5, funded=[ADDRESS, "0x" + "22" * 20])
    (tmp_path / "genesis.json").write_text(json.dumps(raw))

    machine = Machine(Genesis.load_or_make(tmp_path, 5, []), BlockLog(tmp_path / "log"))

    assert "0x" + machine.head.hash.hex() == genesis.digest(raw)
    assert machine.balance(machine.head, bytes.fromhex(ADDRESS[2:])) == genesis.BALANCE


def _request(name: str, params: list[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
