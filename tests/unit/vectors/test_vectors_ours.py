from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from ledger_service.domain import (
    canonical,
    dataset,
    dsse,
    errors,
    ids,
    merkle,
    order,
    profile,
    result,
    statement,
)
from tests.vectors import make

FOLDER = Path(make.__file__).parent


@cache
def vectors(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def tree_head(leaves: list[bytes]) -> bytes:
    """Return MTH(D[n]) word for word as RFC 9162 section 2.1.1 has it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    left, right = tree_head(leaves[:k]), tree_head(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_published_files_are_what_the_generator_writes() -> None:
    made = make.build()
    there = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.glob("**/*.json")
    }

    assert sorted(there) == sorted(made)
    assert [name for name in made if made[name] != there[name]] == []


def test_file_roots_are_the_tree_heads_of_the_rfc() -> None:
    for case in vectors("file_roots.json")["files"]:
        data = bytes(i % 251 for i in range(251)) * (case["size"] // 251 + 1)
        data, chunk = data[: case["size"]], case["chunk"]
        leaves = [data[at : at + chunk] for at in range(0, len(data), chunk)]

        assert tree_head(leaves).hex() == case["root"], case


def test_trees_and_their_paths_lead_to_the_published_roots() -> None:
    for case in vectors("trees.json")["trees"]:
        leaves = [bytes.fromhex(leaf) for leaf in case["leaves"]]
        assert tree_head(leaves).hex() == case["root"]
        for index, path in enumerate(case["paths"]):
            nodes = [bytes.fromhex(node) for node in path]
            leaf = merkle.leaf_hash(leaves[index])
            root = merkle.root_from_path(leaf, index, len(leaves), nodes)
            assert root.hex() == case["root"]


def test_dataset_roots_follow_from_the_entries_sorted_by_the_bytes_of_their_paths() -> None:
    for case in vectors("datasets.json")["datasets"]:
        ordered = sorted(case["entries"], key=lambda entry: entry["path"].encode())
        leaves = [entry["leaf"].encode() for entry in ordered]
        entries = [
            dataset.Entry(
                e["path"], e["size"], e["mediaType"], e["chunk"], ids.FileRoot(bytes.fromhex(e["root"]))
            )
            for e in case["entries"]
        ]  # fmt: skip

        assert tree_head(leaves).hex() == case["root"]
        assert dataset.dataset_root(entries).hex() == case["root"]
        assert [entry.leaf() for entry in entries] == [e["leaf"].encode() for e in case["entries"]]


def test_canonical_texts_are_written_as_published() -> None:
    for case in vectors("canonical.json")["accepted"]:
        text = case["canonical"].encode()

        assert canonical.dumps(canonical.loads(case["text"].encode())) == text
        assert canonical.dumps(canonical.loads(text)) == text
        assert hashlib.sha256(text).hexdigest() == case["sha256"]


def test_texts_that_are_never_hashed_meet_the_published_code() -> None:
    for case in vectors("canonical.json")["refused"]:
        with pytest.raises(errors.InvalidEvidence) as caught:
            canonical.loads(case["text"].encode("utf-8", "surrogatepass"))
        assert caught.value.code == case["code"], case


def test_statements_are_sealed_by_keys_that_any_library_reads() -> None:
    for case in vectors("statements.json")["statements"]:
        text, key = (
            case["statement"].encode(),
            load_der_public_key(bytes.fromhex(case["key"]["publicKey"])),
        )
        fields = json.loads(case["envelope"])
        kind = fields["payloadType"].encode()
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(text), text)
        signature = base64.b64decode(fields["signatures"][0]["sig"])

        assert base64.b64decode(fields["payload"]) == text
        assert hashlib.sha256(text).hexdigest() == case["evidenceId"]
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, message, ec.ECDSA(SHA256()))  # fmt: skip


def test_statements_read_and_verify_as_published() -> None:
    for case in vectors("statements.json")["statements"]:
        envelope = dsse.loads(case["envelope"].encode())
        read = statement.loads(envelope.payload)
        statement.verify_signature(envelope, read)

        assert envelope.dumps() == case["envelope"].encode()
        assert read.dumps() == case["statement"].encode()
        assert statement.evidence_id(envelope.payload).hex() == case["evidenceId"]
        assert (read.device.hex(), read.dataset_root.hex()) == (
            case["key"]["device"],
            case["datasetRoot"],
        )
        for entry in read.entries:
            hasher = dataset.FileHasher(entry.chunk)
            hasher.update(case["files"][entry.path].encode())
            assert (hasher.root(), hasher.size) == (entry.root, entry.size)


def test_order_ids_are_those_of_another_eip_712_library() -> None:
    found = vectors("orders.json")
    domain = {
        name: found["domain"][name] for name in ("name", "version", "chainId", "verifyingContract")
    }
    kinds = ["bytes32"] * 5 + ["address", "uint64", "uint40", "uint24"]
    for case in found["orders"]:
        fields = [
            {"name": name, "type": kind} for name, kind in zip(case["content"], kinds, strict=True)
        ]
        message = {
            field["name"]: bytes.fromhex(value) if field["type"] == "bytes32" else value
            for field, value in zip(fields, case["content"].values(), strict=True)
        }
        typed = encode_typed_data(
            {**domain, "salt": bytes.fromhex(found["domain"]["salt"])}, {"Content": fields}, message
        )

        assert typed.header.hex() == found["domain"]["separator"]
        assert keccak(b"\x19\x01" + typed.header + typed.body).hex() == case["id"]
        own = order.OrdersDomain(
            domain["chainId"],
            ids.parse_address(domain["verifyingContract"]),
            bytes.fromhex(found["domain"]["salt"]),
        )
        assert order.order_id(order.Content.from_json(case["content"]), own).hex() == case["id"]


def test_the_order_document_and_the_asset_have_their_published_digests() -> None:
    found = vectors("orders.json")
    text, asset = found["document"]["text"].encode(), found["asset"]

    assert hashlib.sha256(text).hexdigest() == found["document"]["digest"]
    assert canonical.dumps(canonical.loads(text)) == text
    assert found["orders"][0]["content"]["orderDigest"] == found["document"]["digest"]
    assert asset["id"] == "01" + keccak(b"robot-7").hex()[2:]


def test_results_scores_and_cards_are_as_published() -> None:
    for case in vectors("results.json")["results"]:
        text = case["text"].encode()
        assert result.loads(text).dumps() == text
        assert (
            result.loads(text).digest().hex() == hashlib.sha256(text).hexdigest() == case["digest"]
        )
    for case in vectors("cards.json")["cards"]:
        text = case["text"].encode()
        assert profile.load_card(text).dumps() == text
        assert profile.load_card(text).id.hex() == hashlib.sha256(text).hexdigest() == case["id"]
    threshold = vectors("scores.json")["threshold"]
    for case in vectors("scores.json")["pairs"]:
        found = profile.classify(case["claimed"], case["recomputed"], threshold)
        assert found.value == case["class"], case


def read_all(envelope: bytes) -> None:
    opened = dsse.loads(envelope)
    statement.verify_signature(opened, statement.loads(opened.payload))


@pytest.mark.parametrize("case", vectors("bad/index.json")["cases"], ids=lambda case: case["file"])
def test_every_way_of_being_wrong_meets_its_code(case: dict[str, str]) -> None:
    envelope = (FOLDER / "bad" / case["file"]).read_bytes()

    with pytest.raises(errors.LedgerError) as caught:
        read_all(envelope)

    assert caught.value.code == case["code"], caught.value.message
