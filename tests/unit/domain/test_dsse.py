from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import dsse, errors
from tests.unit.domain.small import few
from tests.vectors.sample import DEVICES, claim, envelope

KINDS = pytest.mark.parametrize("kind", list(DEVICES))
PAYLOAD = b"what is sealed"


def sealed(kind: str) -> dsse.Envelope:
    return dsse.loads(envelope(PAYLOAD, kind))


def check(kind: str, opened: dsse.Envelope) -> None:
    key = dsse.load_public_key(DEVICES[kind].public_key)
    dsse.verify(opened, key, claim(kind).device.hex())


@KINDS
def test_an_envelope_verifies_after_a_round_trip(kind: str) -> None:
    opened = sealed(kind)

    assert dsse.loads(opened.dumps()) == opened
    check(kind, opened)


@KINDS
def test_nothing_signed_can_be_changed(kind: str) -> None:
    opened = sealed(kind)
    for changed in (
        replace(opened, payload=PAYLOAD + b" "),
        replace(opened, payload_type=opened.payload_type + "x"),
        replace(opened, payload=b"4 " + PAYLOAD),
    ):
        with pytest.raises(errors.BadSignature, match="keyid"):
            check(kind, changed)


@KINDS
@pytest.mark.parametrize(
    "sig", [b"", b"\0", b"\0" * 64, b"0\x06\x02\x01\0\x02\x01\0", b"\xff" * 72]
)
def test_bytes_that_are_no_signature_do_not_verify(kind: str, sig: bytes) -> None:
    opened = sealed(kind)
    spoiled = replace(opened, signatures=(replace(opened.signatures[0], sig=sig),))

    with pytest.raises(errors.BadSignature):
        check(kind, spoiled)


@KINDS
def test_another_devices_key_does_not_verify(kind: str) -> None:
    other = next(name for name in DEVICES if name != kind)
    opened = sealed(other)
    under_our_name = tuple(replace(s, keyid=claim(kind).device.hex()) for s in opened.signatures)

    with pytest.raises(errors.MissingSignature, match="expected keyid"):
        check(kind, opened)
    with pytest.raises(errors.BadSignature):
        check(kind, replace(opened, signatures=under_our_name))


@KINDS
def test_among_several_signatures_ours_is_found(kind: str) -> None:
    other = next(name for name in DEVICES if name != kind)
    ours, theirs = sealed(kind).signatures[0], sealed(other).signatures[0]
    junk = replace(ours, sig=b"junk")

    check(kind, replace(sealed(kind), signatures=(theirs, junk, ours)))
    with pytest.raises(errors.BadSignature):
        check(kind, replace(sealed(kind), signatures=(theirs, junk)))


@pytest.mark.parametrize(
    "key",
    [
        ec.derive_private_key(7, ec.SECP256K1()).public_key(),
        ec.derive_private_key(7, ec.SECP384R1()).public_key(),
        x25519.X25519PrivateKey.from_private_bytes(b"7" * 32).public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key(),
    ],
    ids=["secp256k1", "secp384r1", "x25519", "rsa"],
)
def test_keys_of_another_kind_are_refused(key: Any) -> None:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(errors.BadSignature, match="Expected an Ed25519 or a P-256 key"):
        dsse.load_public_key(der)


@few
@given(st.sampled_from(list(DEVICES)), st.integers(0, 90), st.binary(max_size=4))
def test_damaged_keys_are_refused_by_name_or_are_other_keys(
    kind: str, at: int, junk: bytes
) -> None:
    der = DEVICES[kind].public_key
    try:
        key = dsse.load_public_key(der[:at] + junk + der[at + len(junk) :])
        dsse.verify(sealed(kind), key, claim(kind).device.hex())
    except errors.BadSignature:
        return
    assert der[:at] + junk + der[at + len(junk) :] == der


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": "a"},
        {"payload": "YQ=="[:3]},
        {"payload": "YQ ="},
        {"payload": "é"},
        {"payloadType": None},
        {"payloadType": ["text"]},
        {"signatures": None},
        {"signatures": {}},
        {"signatures": ["x"]},
        {"signatures": [{}]},
        {"signatures": [{"sig": None}]},
        {"signatures": [{"sig": "YQ==", "keyid": 7}]},
        {"signatures": [{"sig": "YQ==", "cert": ""}]},
        {"signatures": [{"sig": "YQ=="}] * 9},
        {"unknown": 1},
    ],
)
def test_envelopes_of_another_shape_are_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"payload": "YQ==", "payloadType": "t", "signatures": []}

    assert dsse.loads(json.dumps(fields).encode()).payload == b"a"
    with pytest.raises(errors.UnknownField):
        dsse.loads(json.dumps(fields | change).encode())


@pytest.mark.parametrize("text", ["[]", '"x"', "null", "1"])
def test_other_than_an_object_is_no_envelope(text: str) -> None:
    with pytest.raises(errors.UnknownField):
        dsse.loads(text.encode())


def test_both_alphabets_of_base64_are_read_and_a_missing_key_id_is_no_ones() -> None:
    text = b'{"payload":"-_8=","payloadType":"t","signatures":[{"sig":"+/8="}]}'
    opened = dsse.loads(text)

    assert opened.payload == opened.signatures[0].sig == b"\xfb\xff"
    assert opened.signatures[0].keyid == ""


def test_lengths_are_counted_in_bytes() -> None:
    assert dsse.pae("é", "ü".encode()) == "DSSEv1 2 é 2 ü".encode()
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "
