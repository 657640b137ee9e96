"""DSSE envelopes (secure-systems-lab DSSE v1): the signature covers type and payload, not JSON.

A device signs with Ed25519 (RFC 8032) or with ECDSA on P-256 and SHA-256 (FIPS 186-5, DER encoded
signature). The envelope carries a key id; who owns the key is decided by the chain, not here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger_service.domain import canonical, errors

STATEMENT_TYPE = "application/vnd.in-toto+json"
MAX_SIGNATURES = 8

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: `keyid` is a hint (64 hex digits for our devices), `sig` the raw bytes."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Payload bytes exactly as signed, their type, and the signatures (maybe none)."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def dumps(self) -> bytes:
        """Write the envelope as JSON; the form that `loads` reads."""
        return canonical.dumps(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [
                    {"keyid": s.keyid, "sig": base64.b64encode(s.sig).decode()}
                    for s in self.signatures
                ],
            }
        )


def loads(data: bytes) -> Envelope:
    """Read an envelope. Raise MalformedJson or UnknownField; nothing is verified."""
    fields = canonical.loads(data)
    if not isinstance(fields, dict) or fields.keys() != {"payload", "payloadType", "signatures"}:
        raise errors.UnknownField(
            "A DSSE envelope has payload, payloadType, signatures and nothing else."
        )
    signatures = fields["signatures"]
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise errors.UnknownField(f"Expected a list of at most {MAX_SIGNATURES} signatures.")
    return Envelope(
        payload=_base64(fields["payload"]),
        payload_type=_text(fields["payloadType"], "payloadType"),
        signatures=tuple(_signature(item) for item in signatures),
    )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def load_public_key(der: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo (DER). Raise BadSignature for other kinds of key or bad bytes."""
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise errors.BadSignature("The public key cannot be read.") from exc
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise errors.BadSignature("Expected an Ed25519 or a P-256 key.", found=type(key).__name__)


def verify(envelope: Envelope, public_key: PublicKey, keyid: str) -> None:
    """Check that the envelope has a signature with this key id by this key.

    Raise MissingSignature if none has the key id, BadSignature if it does not verify. Says nothing
    about who may use the key.
    """
    candidates = [s for s in envelope.signatures if s.keyid == keyid]
    if not candidates:
        raise errors.MissingSignature(expected=f"keyid {keyid}")
    message = pae(envelope.payload_type, envelope.payload)
    if not any(_verifies(public_key, s.sig, message) for s in candidates):
        raise errors.BadSignature(expected=f"keyid {keyid}")


def _verifies(key: PublicKey, sig: bytes, message: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(sig, message)
        else:
            key.verify(sig, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _signature(item: Any) -> Signature:
    if not isinstance(item, dict) or item.keys() - {"keyid"} != {"sig"}:
        raise errors.UnknownField("A signature has sig and keyid.")
    return Signature(keyid=_text(item.get("keyid", ""), "keyid"), sig=_base64(item["sig"]))


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise errors.UnknownField(f"{name} is a string.", found=repr(value)[:40])
    return value


def _base64(text: Any) -> bytes:
    """Read base64, standard or URL-safe alphabet, as DSSE allows."""
    if not isinstance(text, str):
        raise errors.UnknownField("Expected base64 text.")
    try:
        return base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise errors.UnknownField("Not base64.", found=repr(text[:40])) from exc
