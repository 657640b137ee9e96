"""Following recorded networks, QBFT of two programs among them: each block's seals are held against the votes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import rlp

from ledger_service.chain.client import ChainLedger
from ledger_service.domain import errors, headers, seals
from ledger_service.domain.facts import Block
from tests.integration.chain.follower import forged, is_block
from tests.peers.liar import Liar, Lie, between
from tests.peers.replay import NETWORKS, Replay, serving

QBFT = ("besu-qbft", "goquorum-qbft")


@pytest.fixture(params=NETWORKS)
async def replay(request: pytest.FixtureRequest) -> AsyncIterator[Replay]:
    async with serving(request.param) as served:
        yield served


async def taken(ledger: ChainLedger, after: Block | None = None, start: int = 1) -> list[Block]:
    """Take in all that is final, fifty at once."""
    found: list[Block] = []
    while blocks := await ledger.final_blocks(found[-1] if found else after, start, 50):
        found += blocks
    return found


def behind(replay: Replay, *liars: Liar) -> ChainLedger:
    settings = replace(replay.settings(), rpc=tuple(liar.url for liar in liars), ws=())
    return ChainLedger(settings, replay.deployment())


@pytest.mark.parametrize("start", [1, 2, 40])
async def test_every_final_block_is_taken_in_from_any_start_through_all_changes_of_validators(
    replay: Replay, start: int
) -> None:
    ledger = ChainLedger(replay.settings(), replay.deployment())
    try:
        found, head = await taken(ledger, start=start), await ledger.head()
    finally:
        await ledger.close()

    assert [block.number for block in found] == list(range(start, found[-1].number + 1))
    assert all(above.parent == below.hash for below, above in pairwise(found))
    assert found[-1].number == head.number - ledger.finality_depth
    assert (ledger.finality_depth == 0) is ("qbft" in replay.recording.network["kind"])
    assert ledger.rewritable is ("clique" in replay.recording.network["kind"])


def without_a_seal(block: dict[str, Any]) -> dict[str, Any]:
    """Return a QBFT block with one seal fewer: its hash is the same."""
    header = headers.from_rpc(block)
    *parts, kept = rlp.decode(header.extra)
    return {**block, "extraData": "0x" + rlp.encode([*parts, kept[:-1]]).hex()}


def with_one_validator_more(block: dict[str, Any]) -> dict[str, Any]:
    """Return a QBFT block that lists a stranger; its hash goes with it."""
    vanity, listed, *rest = rlp.decode(headers.from_rpc(block).extra)
    extra = rlp.encode([vanity, sorted([*listed, b"\x66" * 20]), *rest])
    changed = {**block, "extraData": "0x" + extra.hex()}
    return {**changed, "hash": "0x" + seals.qbft_hash(headers.from_rpc(changed)).hex()}


@pytest.mark.parametrize("spoil", [without_a_seal, with_one_validator_more])
@pytest.mark.parametrize("replay", QBFT, indirect=True)
async def test_a_qbft_block_without_its_seals_is_taken_from_another_node(
    replay: Replay, spoil: Any
) -> None:
    first, second, *_ = replay.settings().rpc
    async with between(first, second) as liars:
        liars[0].lie = lambda method, _, told: (
            spoil(told) if is_block(method, told) and int(told["number"], 16) == 5 else told
        )
        alone, both = behind(replay, liars[0]), behind(replay, *liars)
        try:
            with pytest.raises(errors.BadProof):
                await taken(alone)
            found = await taken(both)
            views = both.nodes.views()
        finally:
            await alone.close()
            await both.close()

    assert len(found) > 70
    assert [(view.used, bool(view.why)) for view in views] == [(False, True), (True, False)]


@pytest.mark.parametrize("replay", ["geth-clique"], indirect=True)
async def test_a_clique_block_of_a_stranger_or_of_a_signer_twice_is_taken_from_another_node(
    replay: Replay,
) -> None:
    first, second, *_ = replay.settings().rpc
    async with between(first, second) as liars:
        liars[0].lie = lambda method, _, told: (
            forged(told, extraData=told["extraData"][:-4] + "0100")
            if is_block(method, told) and int(told["number"], 16) == 5
            else told
        )
        ledger = behind(replay, *liars)
        try:
            found = await taken(ledger)
            views = ledger.nodes.views()
        finally:
            await ledger.close()

    assert len(found) > 70
    assert [(view.used, bool(view.why)) for view in views] == [(False, True), (True, False)]


def made_up_above(head: int, number: int) -> Lie:
    """Return a node's lie: its newest block is `number`, and all above `head` hash to their names."""
    made: dict[int, dict[str, Any]] = {}

    def lie(method: str, asked: list[Any], told: Any) -> Any:
        if is_block(method, told) and int(told["number"], 16) == head:
            made[head] = told
            for at in range(head + 1, number + 1):
                made[at] = forged(made[at - 1], number=hex(at), parentHash=made[at - 1]["hash"])
        if method != "eth_getBlockByNumber":
            return told
        wanted = number if asked[0] == "latest" else int(asked[0], 16)
        return made.get(wanted, told)

    return lie


def nothing_above(head: int, number: int) -> Lie:
    """Return a node's lie: its newest block is `number`, of which it has no more than that."""
    return lambda method, asked, told: (
        forged(told, number=hex(number))
        if method == "eth_getBlockByNumber" and asked[0] == "latest"
        else None
        if is_block(method, told, head)
        else told
    )


@pytest.mark.parametrize("lies", [nothing_above, made_up_above])
@pytest.mark.parametrize("replay", ["geth-clique"], indirect=True)
async def test_blocks_that_nobody_sealed_make_none_below_them_final(
    replay: Replay, lies: Callable[[int, int], Lie]
) -> None:
    first, second, *_ = replay.settings().rpc
    async with between(first, second) as liars:
        alone, both = behind(replay, liars[0]), behind(replay, *liars)
        try:
            held = await taken(alone)
            head = (await alone.head()).number
            for more in range(1, alone.finality_depth + 1):
                liars[0].lie = lies(head, head + more)
                with pytest.raises((errors.BadAnswer, errors.BadProof, errors.NodeUnreachable)):
                    await alone.final_blocks(held[-1], 1, 50)
            found = await taken(both)
            views = both.nodes.views()
        finally:
            await alone.close()
            await both.close()

    assert found == held
    assert found[-1].number == head - both.finality_depth
    assert [(view.used, bool(view.why)) for view in views] == [(False, True), (True, False)]


async def test_another_block_0_is_not_begun_from(replay: Replay) -> None:
    stranger = replace(replay.deployment(), genesis=b"\x66" * 32)
    ledger = ChainLedger(replay.settings(), stranger)
    try:
        with pytest.raises(errors.WrongChain):
            await ledger.final_blocks(None, 1, 50)
    finally:
        await ledger.close()
