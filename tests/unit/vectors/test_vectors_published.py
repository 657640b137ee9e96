"""Vectors that others published. Consistency proofs and subtrees are left out: no code here makes or checks one."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from ledger_service.domain import canonical, dsse, errors, headers, merkle, tries


@pytest.fixture(scope="module")
def folder() -> Path:
    root = os.environ.get("MOL_TEST_DATA")
    if root is None or not (Path(root) / "vectors").is_dir():
        pytest.skip(
            "the published vectors are not here: MOL_TEST_DATA names no folder with vectors/"
        )
    return Path(root) / "vectors"


def proves(case: dict[str, Any]) -> bool:
    def raw(text: str | None) -> bytes:
        return base64.b64decode(text or "")

    path = [raw(node) for node in case["proof"] or []]
    try:
        found = merkle.root_from_path(
            raw(case["leafHash"]), case["leafIdx"], case["treeSize"], path
        )
    except errors.BadProof:
        return False
    return found == raw(case["root"])


def test_inclusion_proofs_of_rfc_9162_hold_and_spoiled_ones_do_not(folder: Path) -> None:
    files = sorted((folder / "rfc9162_merkle/testdata/inclusion").glob("**/*.json"))
    cases = {path: json.loads(path.read_text()) for path in files}

    wrong = [str(path) for path, case in cases.items() if proves(case) == case["wantErr"]]

    assert len(files) > 90
    assert wrong == []


@pytest.mark.parametrize("name", ["arrays", "french"])
def test_texts_of_rfc_8785_without_fractions_are_written_to_the_byte(
    folder: Path, name: str
) -> None:
    data = folder / "rfc8785_jcs/testdata"
    written = canonical.dumps(canonical.loads((data / "input" / f"{name}.json").read_bytes()))

    assert written == (data / "output" / f"{name}.json").read_bytes()
    assert written == bytes.fromhex((data / "outhex" / f"{name}.txt").read_text())


@pytest.mark.parametrize("name", ["structures", "values"])
def test_texts_of_rfc_8785_with_fractions_are_refused_and_the_rest_is_written_to_the_byte(
    folder: Path, name: str
) -> None:
    data = folder / "rfc8785_jcs/testdata"
    text = (data / "input" / f"{name}.json").read_bytes()
    output = (data / "output" / f"{name}.json").read_bytes()

    def whole(given: bytes) -> bytes:
        return re.sub(rb'"numbers": ?\[[^]]*\]', b'"numbers":[]', given.replace(b"56.0", b"56"))

    with pytest.raises(errors.FloatInHashedPlace):
        canonical.loads(text)
    assert canonical.dumps(canonical.loads(whole(text))) == whole(output)


def test_the_example_of_dsse_verifies(folder: Path) -> None:
    case = json.loads((folder / "dsse/vector.json").read_text())
    key = ec.EllipticCurvePublicNumbers(int(case["x"]), int(case["y"]), ec.SECP256R1()).public_key()
    raw = base64.b64decode(case["sig"])
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    envelope = dsse.Envelope(
        case["body"].encode(), case["payloadType"], (dsse.Signature("example", der),)
    )

    assert dsse.pae(case["payloadType"], case["body"].encode()) == case["pae"].encode()
    dsse.verify(envelope, key, "example")


def as_rlp(value: Any) -> Any:
    match value:
        case str() if value.startswith("#"):
            return int(value[1:])
        case str():
            return value.encode()
        case list():
            return [as_rlp(item) for item in value]
    return value


def as_bytes(value: Any) -> Any:
    """Return what is read back: numbers as their big-endian bytes."""
    if isinstance(value, list):
        return [as_bytes(item) for item in value]
    return value.to_bytes((value.bit_length() + 7) // 8) if isinstance(value, int) else value


def test_rlp_lists_are_read_as_published(folder: Path) -> None:
    cases = json.loads((folder / "rlp_trie/RLPTests/rlptest.json").read_text())
    for name, case in cases.items():
        data, value = bytes.fromhex(case["out"][2:]), as_rlp(case["in"])
        assert rlp.encode(value) == data, name
        if isinstance(value, list):
            assert headers.rlp_list(data) == as_bytes(value), name
        else:
            with pytest.raises(errors.BadProof):
                headers.rlp_list(data)


def tries_of(folder: Path) -> Iterator[tuple[str, HexaryTrie, dict[bytes, bytes | None], bytes]]:
    """Yield each published trie: its name, the trie, what was put last under each key, its root."""
    for path in sorted((folder / "rlp_trie/TrieTests").glob("*.json")):
        if path.stem == "trietestnextprev":
            continue  # walks along keys, which no proof needs
        for name, case in json.loads(path.read_text()).items():
            pairs = case["in"].items() if isinstance(case["in"], dict) else case["in"]
            trie, last = HexaryTrie({}), {}
            for key, value in pairs:
                place = keccak(raw(key)) if "secure" in path.stem else raw(key)
                last[place] = None if value is None else raw(value)
                if value is None:
                    del trie[place]  # type: ignore[no-untyped-call]
                else:
                    trie[place] = raw(value)
            yield f"{path.stem} {name}", trie, last, bytes.fromhex(case["root"][2:])


def proof_of(trie: HexaryTrie, key: bytes) -> list[bytes]:
    """Return the nodes as a chain gives them: those that stand in their parent are not given again."""
    if trie.root_hash == tries.EMPTY_ROOT:
        return []
    found = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
    return [node for place, node in enumerate(found) if place == 0 or len(node) >= 32]


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def test_every_key_of_the_published_tries_is_proven_present_or_absent(folder: Path) -> None:
    proven = 0
    for name, trie, last, root in tries_of(folder):
        assert trie.root_hash == root, name
        for key, value in (last | {b"nobody put this": None}).items():
            assert tries.prove(root, key, proof_of(trie, key)) == value, name
            proven += 1
    assert proven > 100
