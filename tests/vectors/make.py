"""Write the published test vectors: `python -m tests.vectors.make`.

Keys, times and contents are fixed, so the files come out the same each time; a test compares them
with what this writes. Another implementer needs the JSON files and README.md only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rlp
from eth_hash.auto import keccak

from ledger_service.chain.consortium import VersionTerms, version_id
from ledger_service.domain import canonical, dataset, ids, merkle, order, profile, statement
from ledger_service.domain.jobplan import JobPlan
from ledger_service.domain.result import ResultDocument
from tests.vectors import bad
from tests.vectors.sample import CARD, DEVICES, FILES, PLAN, claim, content_of, envelope

FOLDER = Path(__file__).parent
CHAIN_ID = (
    131277322940537  # eth-tester's chain, so that the contracts can be asked for the same ids
)
DEPLOYER = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")  # private key 1
GENESIS = hashlib.sha256(b"hash of block 0").digest()
DEADLINE = datetime(2026, 11, 26, 9, tzinfo=UTC)
MANY_CHUNKS = dataset.CHUNK_SIZES[0]
TREE_SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9)


def file_roots() -> dict[str, Any]:
    """File roots at the edges of chunks; byte i of a file is i modulo 251."""
    return {
        "content": "byte i is i modulo 251",
        "files": [
            {"chunk": chunk, "size": size, "root": _file_root(size, chunk).hex()}
            for chunk in dataset.CHUNK_SIZES
            for size in (0, 1, chunk - 1, chunk, chunk + 1)
        ]
        + [
            {"chunk": MANY_CHUNKS, "size": size, "root": _file_root(size, MANY_CHUNKS).hex()}
            for count in (2, 3, 7)
            for size in (count * MANY_CHUNKS, count * MANY_CHUNKS + 1)
        ],
    }


def trees() -> dict[str, Any]:
    """Trees over few leaves, with all inclusion paths; leaf i is the text of i."""
    return {"trees": [_tree([str(i).encode() for i in range(size)]) for size in TREE_SIZES]}


def datasets() -> dict[str, Any]:
    """Dataset roots, with the leaf of each entry; the entries are not in order."""
    many = [
        dataset.Entry(name, size, "text/csv", dataset.DEFAULT_CHUNK, _file_root(size, dataset.MIB))
        for name, size in [("z.csv", 0), ("a/b.csv", 1), ("é.csv", 251), ("Z.csv2", 9), ("𝄞", 3)]
    ]
    return {"datasets": [_dataset(entries) for entries in (many[:1], many, _sample_entries())]}


def canonical_json() -> dict[str, Any]:
    """Texts with their canonical bytes, and texts that are refused, with the error's code."""
    texts = [
        '{"b":1,"a":[true,false,null]}',
        '{"\\u20ac":"\\u0000\\u001f\\"\\\\/","\\ud83d\\ude00":"é","1":{},"":[]}',
        '{"ﬁ":1,"𝄞":2}',
        "[9007199254740991,-9007199254740991,0,-0]",
        ' { "x" : "\\u00e9\\/" } ',
    ]
    accepted = [
        {"text": text, "canonical": found.decode(), "sha256": hashlib.sha256(found).hexdigest()}
        for text in texts
        if (found := canonical.dumps(canonical.loads(text.encode())))
    ]
    return {"accepted": accepted, "refused": bad.json_texts()}


def statements() -> dict[str, Any]:
    """One statement for each kind of device key: its bytes, envelope and ids."""
    return {"statements": [_statement(kind) for kind in DEVICES]}


def orders() -> dict[str, Any]:
    """The order document and its digest; ids of asset, version and order on one chain."""
    consortium, contract = _created(0), _created(1)
    asset = ids.asset_id(claim("ed25519").asset)
    terms = VersionTerms(asset, (1, 2, 3), 1, 3, emergency_cap=1_000_00, emergency_max=2)
    version = version_id(CHAIN_ID, consortium, terms)
    sealed = claim("ed25519").dumps()
    document = order.document(
        evidence=statement.evidence_id(sealed),
        statement=statement.loads(sealed),
        plan=JobPlan.model_validate(PLAN),
        currency="EUR",
        deadline=DEADLINE,
        attempt=1,
    )
    content = content_of(sealed, document, version, int(DEADLINE.timestamp()))
    domain = order.OrdersDomain(CHAIN_ID, contract, GENESIS)
    return {
        "asset": {"name": claim("ed25519").asset, "id": asset.hex()},
        "version": _version(consortium, terms, version),
        "document": {
            "statement": "statements.json, the first",
            "plan": PLAN,
            "currency": "EUR",
            "text": document.decode(),
            "digest": order.order_digest(document).hex(),
        },
        "domain": {
            "name": order.DOMAIN_NAME,
            "version": order.DOMAIN_VERSION,
            "chainId": CHAIN_ID,
            "verifyingContract": ids.checksum(contract),
            "salt": GENESIS.hex(),
            "separator": domain.separator().hex(),
        },
        "orders": [
            {"content": item.as_json(), "id": order.order_id(item, domain).hex()}
            for item in (content, replace(content, attempt=2), _largest(content))
        ],
    }


def results() -> dict[str, Any]:
    """Result documents and what goes on chain of them."""
    documents = [
        ResultDocument(bytes(range(16)), number, ids.OrderId(GENESIS), score, "ort/1.31", kind)
        for number, score, kind in [
            (1, 142_857, profile.Agreement.BIT_EQUAL),
            (2, 142_858, profile.Agreement.WITHIN),
            (255, 100_000, profile.Agreement.BORDERLINE),
        ]
    ]
    return {
        "results": [
            {"text": item.dumps().decode(), "digest": item.digest().hex()} for item in documents
        ]
    }


def scores() -> dict[str, Any]:
    """Pairs of quantised scores and what is said of them, threshold 100000."""
    pairs = [(100_000, 100_000), (100_001, 100_000), (142_857, 142_866), (142_857, 142_867)]
    pairs += [(0, 0), (0, 1), (0, 2), (2_000_000, 1_999_877), (2_000_000, 1_999_878), (99_999, 1)]
    return {
        "threshold": 100_000,
        "pairs": [
            {"claimed": one, "recomputed": two, "class": profile.classify(one, two, 100_000).value}
            for one, two in pairs
        ],
    }


def cards() -> dict[str, Any]:
    """A detector's card and its id."""
    return {"cards": [{"text": CARD.dumps().decode(), "id": CARD.id.hex()}]}


MAKERS: dict[str, Callable[[], dict[str, Any]]] = {
    "file_roots.json": file_roots,
    "trees.json": trees,
    "datasets.json": datasets,
    "canonical.json": canonical_json,
    "statements.json": statements,
    "orders.json": orders,
    "results.json": results,
    "scores.json": scores,
    "cards.json": cards,
}


def build() -> dict[str, bytes]:
    """Return every published file, by its name below the folder."""
    found = {name: _pretty(make()) for name, make in MAKERS.items()}
    cases = bad.cases()
    index = [{"file": f"{c.name}.json", "code": c.code, "fault": c.fault} for c in cases]
    found["bad/index.json"] = _pretty({"cases": index})
    return found | {f"bad/{c.name}.json": c.envelope for c in cases}


def write() -> None:
    """Write them, and take away what is no longer made."""
    made = build()
    for old in FOLDER.glob("**/*.json"):
        if old.relative_to(FOLDER).as_posix() not in made:
            old.unlink()
    for name, data in made.items():
        (FOLDER / name).write_bytes(data)


def _pretty(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


def _file_root(size: int, chunk: int) -> ids.FileRoot:
    hasher = dataset.FileHasher(chunk)
    hasher.update((bytes(range(251)) * (size // 251 + 1))[:size])
    return hasher.root()


def _tree(leaves: list[bytes]) -> dict[str, Any]:
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    paths = [merkle.inclusion_path(hashes, index) for index in range(len(hashes))]
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "root": merkle.tree_root(hashes).hex(),
        "paths": [[node.hex() for node in path] for path in paths],
    }


def _sample_entries() -> list[dataset.Entry]:
    return list(claim("ed25519").entries)


def _dataset(entries: list[dataset.Entry]) -> dict[str, Any]:
    leaves = [{**json.loads(e.leaf()), "leaf": e.leaf().decode()} for e in entries]
    return {"entries": leaves, "root": dataset.dataset_root(entries).hex()}


def _statement(kind: str) -> dict[str, Any]:
    device = DEVICES[kind]
    sealed = claim(kind).dumps()
    return {
        "key": {
            "kind": kind,
            "privateKey": device.secret.hex(),
            "publicKey": claim(kind).public_key.hex(),
            "device": claim(kind).device.hex(),
        },
        "files": {name: data.decode() for name, data in FILES.items()},
        "statement": sealed.decode(),
        "evidenceId": statement.evidence_id(sealed).hex(),
        "datasetRoot": claim(kind).dataset_root.hex(),
        "envelope": envelope(sealed, kind).decode(),
    }


def _version(consortium: ids.Address, terms: VersionTerms, name: ids.VersionId) -> dict[str, Any]:
    return {
        "chainId": CHAIN_ID,
        "consortium": ids.checksum(consortium),
        "asset": terms.asset.hex(),
        "previous": terms.previous.hex(),
        "seats": list(terms.seats),
        "host": terms.host,
        "safety": terms.safety,
        "ratifyPeriod": terms.ratify_period,
        "emergencyCap": terms.emergency_cap,
        "emergencyMax": terms.emergency_max,
        "id": name.hex(),
    }


def _largest(content: order.Content) -> order.Content:
    return replace(content, cost=2**53 - 1, deadline=2**40 - 1, attempt=2**24 - 1)


def _created(nonce: int) -> ids.Address:
    return ids.Address(keccak(rlp.encode([DEPLOYER, nonce]))[12:])


if __name__ == "__main__":
    write()
