"""The chain client over recorded orders: receipts, events, proofs, errors. The contract is a prototype."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from ledger_service.chain import proofs, reading
from ledger_service.chain.abi import Interface
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.rpc import RpcError, RpcFailed, octets, quantity
from ledger_service.domain import errors, headers, ids, seals, tries
from ledger_service.domain.facts import Block, CapturedProof
from tests.peers.replay import NETWORKS, Replay, serving

WHOLE = NETWORKS[:3]
METHOD_NOT_FOUND = -32601


@pytest.fixture(params=NETWORKS)
async def replay(request: pytest.FixtureRequest) -> AsyncIterator[Replay]:
    async with serving(request.param) as served:
        yield served


@pytest.fixture
async def ledger(replay: Replay) -> AsyncIterator[ChainLedger]:
    opened = ChainLedger(replay.settings(), replay.deployment())
    yield opened
    await opened.close()


def sent(replay: Replay) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (order, transaction) of all that were mined."""
    for order in replay.recording.outcomes["orders"]:
        for transaction in order["txs"]:
            if transaction.get("block") is not None:
                yield order, transaction


def hash_of(text: str) -> ids.TxHash:
    return ids.TxHash(bytes.fromhex(text[2:]))


async def block_at(ledger: ChainLedger, number: int) -> Block:
    block = await ledger.block(number)
    assert block is not None
    return block


@pytest.mark.parametrize("replay", WHOLE, indirect=True)
async def test_every_receipt_is_the_one_of_its_block(ledger: ChainLedger, replay: Replay) -> None:
    found = 0
    for _, transaction in sent(replay):
        receipt = await ledger.receipt(hash_of(transaction["hash"]))
        assert receipt is not None
        assert receipt.block == transaction["block"]
        assert receipt.succeeded is (transaction["status"] == 1)
        assert receipt.gas_used == transaction.get("gas", receipt.gas_used)
        assert receipt.block_hash == (await block_at(ledger, receipt.block)).hash
        found += 1

    assert found > 5
    assert not replay.missing


async def test_the_events_of_each_block_tell_each_order_to_its_end(
    ledger: ChainLedger, replay: Replay
) -> None:
    interface = Interface(replay.recording.abi)
    told: dict[bytes, list[str]] = {}
    proven = 0
    for number in sorted({transaction["block"] for _, transaction in sent(replay)}):
        block = await block_at(ledger, number)
        wanted = {
            "address": replay.recording.network["contract"],
            "blockHash": "0x" + block.hash.hex(),
        }
        for log in await ledger.ask("eth_getLogs", wanted):
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            event = interface.events[topics[0]]
            fields = event.decode(topics, bytes.fromhex(log["data"][2:]))
            told.setdefault(fields["order"], []).append(event.name)
        # Events of another contract's ABI are none of ours, and no reason to stop.
        told_whole = replay.answer(0, "eth_getBlockReceipts", ["0x" + block.hash.hex()])
        if told_whole.get("error", {}).get("code") in {None, METHOD_NOT_FOUND}:
            assert await ledger.facts(block) == []
            proven += 1

    assert proven > 5
    for order in replay.recording.outcomes["orders"]:
        names = told.get(bytes.fromhex(order["id"][2:]), [])
        assert ("Settled" in names) is (order["status"] in {"Validated", "Refused"})
        assert ("Proposed" in names) is (order["status"] != "Unknown")
        if order["status"] == "Validated":
            assert sorted(names) == ["Approved"] * 3 + ["Proposed", "Settled"]


def check(proof: CapturedProof, contract: ids.Address, order: bytes, block: Block) -> int:
    """Verify a proof as somebody without a node would; return the word."""
    header = headers.Header(tuple(bytes.fromhex(field) for field in proof.header["fields"]))
    proofs.check_hash(header, block.hash)
    nodes = [bytes.fromhex(node) for node in proof.account_proof["account"]]
    account = tries.prove_account(header.state_root, contract, nodes)
    assert account is not None
    slot = tries.mapping_slot(order, 0)
    assert slot.hex() == proof.account_proof["slot"]
    for index, path in proof.receipt_proof.items():
        told = tries.prove_item(header.receipts_root, int(index), [bytes.fromhex(n) for n in path])
        assert order in told
    storage = [bytes.fromhex(node) for node in proof.account_proof["storage"]]
    return tries.prove_slot(account.storage_root, slot, storage)


@pytest.mark.parametrize("replay", WHOLE, indirect=True)
async def test_the_proofs_of_each_settled_order_verify_without_a_node(
    ledger: ChainLedger, replay: Replay
) -> None:
    ledger.patience = 0
    captured = 0
    for order in replay.recording.outcomes["orders"]:
        if order["status"] not in {"Validated", "Refused"}:
            continue
        name = ids.OrderId(bytes.fromhex(order["id"][2:]))
        block = await block_at(ledger, order["last_block"])
        proof = await ledger.capture(name, block)
        if proof is None:  # not each order's proof was asked for at its last block
            continue
        captured += 1
        assert check(proof, replay.recording.contract, name, block) == int(order["word"], 16)
        # A transaction that reverted has a receipt, but no event of the order.
        there = [tx for tx in order["txs"] if tx["block"] == block.number and tx["status"] == 1]
        assert bool(proof.receipt_proof) is bool(there)

    assert captured >= 5


def flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


LIES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "another state": ("eth_getBlockByNumber", lambda b: {**b, "stateRoot": flip(b["stateRoot"])}),
    "no state": ("eth_getBlockByNumber", lambda b: {**b, "stateRoot": None}),
    "no nonce": ("eth_getBlockByNumber", lambda b: {k: b[k] for k in b if k != "nonce"}),
    "a list for a block": ("eth_getBlockByNumber", lambda _: []),
    "another leaf": (
        "eth_getProof",
        lambda p: {**p, "accountProof": [*p["accountProof"][:-1], flip(p["accountProof"][-1])]},
    ),
    "null": ("eth_getProof", lambda _: None),
    "no nodes": ("eth_getProof", lambda p: {**p, "storageProof": [{}]}),
    "text for nodes": ("eth_getProof", lambda p: {**p, "accountProof": "0x"}),
    "numbers for nodes": ("eth_getProof", lambda p: {**p, "accountProof": [7]}),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("replay", WHOLE, indirect=True)
async def test_a_lie_is_not_kept_as_a_proof(ledger: ChainLedger, replay: Replay, lie: str) -> None:
    order = replay.recording.outcomes["orders"][0]
    name = ids.OrderId(bytes.fromhex(order["id"][2:]))
    block = await block_at(ledger, order["last_block"])
    about, spoil = LIES[lie]

    async def ask(method: str, *parameters: Any) -> Any:
        answer = await ledger.ask(method, *parameters)
        return spoil(answer) if method == about else answer

    async def take() -> None:
        at = reading.seen(await ask("eth_getBlockByNumber", hex(block.number), False))
        told = await proofs.receipts_of(ask, ledger.ask_many, block)
        place, receipts = (block, at.header), proofs.Receipts(at.header, told)
        await proofs.capture(ask, replay.recording.contract, [name], place, receipts)

    with pytest.raises((errors.BadProof, errors.BadAnswer)):
        await take()


@pytest.mark.parametrize("replay", WHOLE, indirect=True)
async def test_a_node_that_keeps_no_old_state_proves_nothing_and_another_does(
    replay: Replay,
) -> None:
    poor = next(n["node"] for n in replay.recording.network["nodes"] if not n["archive"])
    line = next(
        line
        for line in replay.recording.asked("eth_getProof", poor)
        if "error" in line.response and "without an archive" in line.note
    )
    assert line.request is not None
    _, slots, number = line.request["params"]
    order = next(
        (o for o in replay.recording.outcomes["orders"] if o["word_slot"] == slots[0]), None
    )
    assert line.response["error"]["code"] == -32000
    ledger = ChainLedger(replay.settings(poor), replay.deployment())
    block = await block_at(ledger, int(number, 16))
    name = ids.OrderId(bytes.fromhex(order["id"][2:]) if order else bytes(32))

    with pytest.raises(RpcFailed) as failed:
        await ledger.ask("eth_getProof", *line.request["params"])
    assert failed.value.error == RpcError(-32000, line.response["error"]["message"])
    assert await ledger.capture(name, block) is None
    await ledger.close()


async def test_goquorum_has_no_call_for_all_receipts_and_no_base_fee() -> None:
    async with serving("goquorum-qbft") as replay:
        ledger = ChainLedger(replay.settings(), replay.deployment())
        head = await ledger.ask("eth_getBlockByNumber", "latest", False)
        with pytest.raises(RpcFailed) as failed:
            await ledger.ask("eth_getBlockReceipts", "0x6")
        sixth = reading.seen(await ledger.ask("eth_getBlockByNumber", "0x6", False))
        receipts = await proofs.receipts_of(ledger.ask, ledger.ask_many, sixth.block)
        proofs.Receipts(sixth.header, receipts)
        await ledger.close()

    assert failed.value.error.code == METHOD_NOT_FOUND
    assert len(receipts) == 1
    assert "baseFeePerGas" not in head
    assert len(headers.from_rpc(head).fields) == len(headers.FIELDS)
    assert seals.qbft_extra(headers.from_rpc(head)).seals


async def test_besu_says_null_of_a_block_that_it_does_not_know() -> None:
    async with serving("besu-qbft") as replay:
        ledger = ChainLedger(replay.settings(), replay.deployment())
        nulls = [
            line
            for line in replay.recording.lines
            if line.note == "unknown block" and line.response.get("result", "") is None
        ]
        for line in nulls:
            assert line.request is not None
            answer = await ledger.ask(line.method, *line.request["params"])
            assert answer is None
            for read in (octets, quantity):
                with pytest.raises(errors.BadAnswer):
                    read(answer)
        await ledger.close()

    assert {"eth_call", "eth_getProof"} <= {line.method for line in nulls}


@pytest.mark.parametrize("replay", WHOLE, indirect=True)
async def test_every_revert_is_told_by_its_name(replay: Replay) -> None:
    interface = Interface(replay.recording.abi)
    named = set()
    for line in replay.recording.asked("eth_call"):
        error = line.response.get("error")
        if error and error["code"] == 3 and line.note.startswith("eth_call: "):
            name, _ = interface.explain(bytes.fromhex(error["data"][2:]))
            named.add(name)

    assert {"NotBuilder", "NotSeated", "Late", "Voted", "AlreadySettled"} <= named
