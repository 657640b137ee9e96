"""Three splits of five real Clique signers: what was mined and vanished, and what finality is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.rpc import RpcFailed
from ledger_service.domain import headers, ids, seals
from ledger_service.domain.calls import Sent
from ledger_service.domain.facts import Block
from tests.peers.replay import Line, Replay, serving

NODES = range(5)
SPLITS = range(3)


@pytest.fixture
async def replay() -> AsyncIterator[Replay]:
    async with serving("geth-clique/fork-5-signers") as served:
        yield served


def client(replay: Replay, *nodes: int) -> ChainLedger:
    return ChainLedger(replay.settings(*nodes), replay.deployment())


def split(replay: Replay, number: int) -> dict[str, Any]:
    found: dict[str, Any] = replay.recording.outcomes["splits"][number]
    return found


def tx(text: str) -> ids.TxHash:
    return ids.TxHash(bytes.fromhex(text[2:]))


def answers(replay: Replay, method: str, node: int, first: Any) -> list[Line]:
    """Return what a node said to a question, by its first parameter."""
    return [
        line
        for line in replay.recording.asked(method, node)
        if (line.request or {})["params"][0] == first
    ]


@pytest.mark.parametrize("number", SPLITS)
async def test_a_proposal_that_was_mined_on_the_losing_side_is_gone_for_good(
    replay: Replay, number: int
) -> None:
    lost = split(replay, number)["tx_two"]
    told = answers(replay, "eth_getTransactionReceipt", 1, lost)
    mined = next(line for line in told if line.response["result"])
    assert mined.response["result"]["status"] == "0x1"
    loser = client(replay, 1)

    assert await loser.receipt(tx(lost)) is None
    again = next(
        line
        for line in reversed(replay.recording.lines)
        if line.method == "eth_sendRawTransaction" and "nonce too low" in str(line.response)
    )
    assert again.request is not None
    raw = bytes.fromhex(again.request["params"][0][2:])
    replay.moment = again.at
    assert await client_send(replay, again.node, raw) is Sent.NONCE_USED
    await loser.close()


async def client_send(replay: Replay, node: int, raw: bytes) -> Sent:
    ledger = client(replay, node)
    outcome = await ledger.send(raw)
    await ledger.close()
    return outcome


@pytest.mark.parametrize("number", SPLITS)
async def test_an_approval_is_mined_again_and_its_receipt_is_of_the_chain_that_stayed(
    replay: Replay, number: int
) -> None:
    approval = split(replay, number)["approve_two"]
    blocks = {
        line.response["result"]["blockHash"]
        for node in NODES
        for line in answers(replay, "eth_getTransactionReceipt", node, approval)
        if line.response["result"]
    }
    orphans = {orphan["hash"] for orphan in orphans_of(replay)}
    assert len(blocks) >= 2
    assert len(blocks - orphans) <= 1
    ledger = client(replay)

    receipt = await ledger.receipt(tx(approval))

    if receipt is not None:
        assert "0x" + receipt.block_hash.hex() not in orphans
        block = await ledger.block(receipt.block)
        assert block is not None
        assert block.hash == receipt.block_hash
    await ledger.close()


def orphans_of(replay: Replay) -> list[dict[str, Any]]:
    """Return the blocks that some node told of and that did not stay."""
    stayed = {number: told[-1][2]["hash"] for number, told in replay.recording.blocks.items()}
    found = {
        fields["hash"]: fields
        for told in replay.recording.blocks.values()
        for _, _, fields in told
        if fields["hash"] != stayed[fields["number"]]
    }
    return list(found.values())


async def test_an_orphan_is_sealed_as_well_as_any_and_only_its_height_tells(replay: Replay) -> None:
    ledger = client(replay)
    genesis = await ledger.ask("eth_getBlockByNumber", "0x0", False)
    signers = seals.clique_signers(headers.from_rpc(genesis))
    orphans = orphans_of(replay)

    assert len(orphans) == 9
    for fields in orphans:
        sealed = seals.check_clique(headers.from_rpc(fields), signers)
        assert "0x" + sealed.hex() == fields["hash"]
        block = await ledger.block(int(fields["number"], 16))
        assert block is not None
        assert block.hash != sealed
    await ledger.close()


@pytest.mark.parametrize("number", SPLITS)
async def test_who_saw_an_orphan_serves_its_logs_and_who_did_not_says_so(
    replay: Replay, number: int
) -> None:
    ((_, orphan),) = split(replay, number)["seen"]["tx_two@two"]
    saw, did_not = client(replay, 1), client(replay, 0)

    logs = await saw.ask("eth_getLogs", {"blockHash": orphan})
    with pytest.raises(RpcFailed) as failed:
        await did_not.ask("eth_getLogs", {"blockHash": orphan})
    await saw.close()
    await did_not.close()

    assert logs
    assert all(log["blockHash"] == orphan and not log["removed"] for log in logs)
    assert failed.value.error.message == "unknown block"


async def heads_of(replay: Replay, node: int) -> list[Block]:
    """Return all heads that a client hears from a node."""
    ledger, wanted = client(replay, node), len(replay.recording.heads(node))
    seen: list[Block] = []
    async with asyncio.timeout(30), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
        async for block in heads:
            seen.append(block)
            if len(seen) > wanted:
                break
    await ledger.close()
    return seen[1:]


async def replaced_below(replay: Replay, depth: int) -> set[bytes]:
    """Return the blocks that lay so deep under a head of some node and yet did not stay."""
    heard = [head for node in NODES for head in await heads_of(replay, node)]
    by_hash = {bytes(head.hash): head for head in heard}
    stayed = {bytes.fromhex(told[-1][2]["hash"][2:]) for told in replay.recording.blocks.values()}
    found = set()
    for head in heard:
        block: Block | None = head
        for _ in range(depth):
            block = by_hash.get(block.parent) if block else None
        if block is not None and bytes(block.hash) not in stayed:
            found.add(bytes(block.hash))
    return found


async def test_what_lies_at_finality_depth_is_never_replaced(replay: Replay) -> None:
    depth = replay.settings().finality_depth

    assert depth == 3
    assert await replaced_below(replay, depth) == set()


async def test_at_less_depth_blocks_were_replaced(replay: Replay) -> None:
    assert len(await replaced_below(replay, 0)) == 9
    assert await replaced_below(replay, 1) != set()
