from __future__ import annotations

from typing import Any

import pytest
import rlp
from trie.hexary import HexaryTrie

from ledger_service.domain import errors, tries
from tests.unit.domain.recorded import ALL, Recording, load, number, raw


@pytest.fixture(scope="module", params=ALL)
def network(request: pytest.FixtureRequest) -> Recording:
    return load(request.param)


def proofs(network: Recording) -> list[tuple[bytes, dict[str, Any]]]:
    """Return (state root, answer) of every storage proof whose block was recorded."""
    found = []
    for params, answer in network.asked["eth_getProof"]:
        named = params[2] if len(params) > 2 else None
        if answer is not None and isinstance(named, str) and named.startswith("0x"):
            block = network.by_number.get(int(named, 16))
            if block is not None:
                found.append((block.header.state_root, answer))
    return found


def nodes(proof: list[str]) -> list[bytes]:
    return [raw(node) for node in proof]


def test_every_recorded_proof_says_what_the_node_said(network: Recording) -> None:
    given, slots, absent = proofs(network), 0, 0
    for root, answer in given:
        account = tries.prove_account(root, raw(answer["address"]), nodes(answer["accountProof"]))
        if account is None:
            absent += 1
            continue
        assert account.storage_root == raw(answer["storageHash"])
        assert account.code_hash == raw(answer["codeHash"])
        assert (account.nonce, account.balance) == (
            int(answer["nonce"], 16),
            int(answer["balance"], 16),
        )
        for item in answer["storageProof"]:
            slot = int(item["key"], 16).to_bytes(32)
            found = tries.prove_slot(account.storage_root, slot, nodes(item["proof"]))
            assert found == int(item["value"], 16)
            slots += 1
    assert (len(given) > 30, slots > 60) == (True, True), (len(given), slots, absent)


def spoiled(proof: list[bytes]) -> dict[str, list[bytes]]:
    last = proof[-1]
    return {
        "nothing": [],
        "without its end": proof[:-1],
        "without its root": proof[1:],
        "one more": [*proof, last],
        "a bit": [*proof[:-1], last[:-1] + bytes([last[-1] ^ 1])],
        "a byte more": [*proof[:-1], last + b"\0"],
        "another root": [rlp.encode([b"\x20", b"x"]), *proof[1:]],
        "no rlp": [b"\xff" * 40, *proof[1:]],
    }


def test_a_proof_that_was_tampered_with_is_refused(network: Recording) -> None:
    root, answer = proofs(network)[0]
    address, proof = raw(answer["address"]), nodes(answer["accountProof"])
    account = tries.prove_account(root, address, proof)
    assert account is not None
    item = answer["storageProof"][0]
    slot, path = int(item["key"], 16).to_bytes(32), nodes(item["proof"])

    for how, wrong in spoiled(proof).items():
        with pytest.raises(errors.BadProof):
            pytest.fail(f"{how}: {tries.prove_account(root, address, wrong)}")
    for how, wrong in spoiled(path).items():
        with pytest.raises(errors.BadProof):
            pytest.fail(f"{how}: {tries.prove_slot(account.storage_root, slot, wrong)}")
    with pytest.raises(errors.BadProof):
        tries.prove_account(account.storage_root, address, proof)


def receipt(fields: dict[str, Any]) -> bytes:
    logs = [
        [raw(log["address"]), [raw(topic) for topic in log["topics"]], raw(log["data"])]
        for log in fields["logs"]
    ]
    bloom = raw(fields["logsBloom"])
    body = [number(fields["status"]), number(fields["cumulativeGasUsed"]), bloom, logs]
    encoded: bytes = rlp.encode(body)
    return number(fields["type"]) + encoded


def receipts(network: Recording) -> dict[int, list[dict[str, Any]]]:
    """Return whole blocks of receipts, put together from single answers."""
    found: dict[int, dict[int, dict[str, Any]]] = {}
    for _, answer in network.asked["eth_getTransactionReceipt"]:
        if answer is not None:
            block = found.setdefault(int(answer["blockNumber"], 16), {})
            block[int(answer["transactionIndex"], 16)] = answer
    return {
        height: [block[index] for index in range(len(block))]
        for height, block in found.items()
        if sorted(block) == list(range(len(block))) and height in network.by_number
    }


def test_every_receipt_is_proven_under_the_root_of_its_header(network: Recording) -> None:
    blocks = receipts(network)
    whole = 0
    for height, items in blocks.items():
        header, encoded = network.by_number[height].header, [receipt(item) for item in items]
        trie = HexaryTrie({})
        for index, item in enumerate(encoded):
            trie[rlp.encode(index)] = item
        if trie.root_hash != header.receipts_root:
            continue  # not all of its receipts were recorded
        whole += 1
        for index, item in enumerate(encoded):
            path = [rlp.encode(node) for node in trie.get_proof(rlp.encode(index))]  # type: ignore[no-untyped-call]
            assert tries.prove_item(header.receipts_root, index, path) == item
            with pytest.raises(errors.BadProof):
                tries.prove_item(header.transactions_root, index, path)
        with pytest.raises(errors.BadProof):
            tries.prove_item(header.receipts_root, len(items), path)
    assert whole >= 20


def test_mapping_slots_are_where_the_contract_keeps_its_words(network: Recording) -> None:
    # The recorded contract: word[order] is its slot 0, orderOf[evidence] its slot 1.
    assert len(network.orders) > 10
    for item in network.orders:
        assert tries.mapping_slot(raw(item["id"]), 0) == raw(item["word_slot"])
        assert tries.mapping_slot(raw(item["content"][0]), 1) == raw(item["evidence_slot"])
