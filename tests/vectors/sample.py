"""The sample that the vectors are made of: files, device keys, a detector, a job plan."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_service.domain import dataset, dsse, ids, order, profile, statement
from ledger_service.domain.profile import DetectorCard, Input
from ledger_service.domain.statement import Feature, Runtime, Statement, Window
from ledger_service.domain.units import Quantity

FILES = {
    "samples.csv": b"time,speed,drill_temp\n2026-11-24T08:00:00Z,1200,41.5\n",
    "notes/operator.txt": "Geräusch an der Spindel\n".encode(),
}
CARD = DetectorCard(
    name="sample-detector",
    version=1,
    asset_type="robot",
    failure_modes=("bearing-wear", "dull-tool"),
    model_digest=hashlib.sha256(b"model.onnx").hexdigest(),
    input=Input(
        media_type="text/csv",
        columns=("speed", "drill_temp"),
        units=("rpm", "Cel"),
        period_seconds=60,
        min_rows=1,
        max_rows=1440,
    ),
    threshold=100_000,
    profile=profile.PROFILE,
    training="none: a sample",
)
PLAN: dict[str, Any] = {
    "id": "sample-bearing-wear",
    "assetType": "robot",
    "failureMode": "bearing-wear",
    "title": "Replace the spindle bearing",
    "tasks": [{"description": "Replace the bearing", "minutes": 45}],
    "parts": [
        {
            "number": "BRG-7008",
            "description": "Spindle bearing",
            "quantity": 2,
            "unit": "C62",
            "unitPrice": 12_300,
        }
    ],
    "supplier": {"id": "SUP-0001", "name": "Bearings and Sons"},
    "skill": "mechanic",
    "lockOut": ["Main switch off, locked and tagged"],
    "labourCost": 9_000,
    "priority": 2,
    "deadlineHours": 48,
}


@dataclass(frozen=True)
class KnownDevice:
    """A device key that everybody knows: 32 bytes of secret."""

    secret: bytes
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    @property
    def public_key(self) -> bytes:
        """Return the SubjectPublicKeyInfo (DER)."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """Sign; ECDSA with the deterministic nonce of RFC 6979."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))


def _secret(name: str) -> bytes:
    return hashlib.sha256(f"test key, never use it: {name}".encode()).digest()


def ed25519_device(name: str) -> KnownDevice:
    """Return the Ed25519 device of that name."""
    return KnownDevice(_secret(name), ed25519.Ed25519PrivateKey.from_private_bytes(_secret(name)))


def ec_device(name: str, curve: ec.EllipticCurve) -> KnownDevice:
    """Return the ECDSA device of that name."""
    return KnownDevice(
        _secret(name), ec.derive_private_key(int.from_bytes(_secret(name)) >> 1, curve)
    )


DEVICES = {
    "ed25519": ed25519_device("ed25519"),
    "p256": ec_device("p256", ec.SECP256R1()),
}


@cache
def claim(kind: str) -> Statement:
    """Return the sample statement of a device: the first one of its chain."""
    entries = tuple(_entry(path, data) for path, data in sorted(FILES.items()))
    return Statement(
        asset="1/robot-7",
        detector=CARD.id,
        failure_mode="bearing-wear",
        window=Window(
            datetime(2026, 11, 24, 8, tzinfo=UTC), datetime(2026, 11, 24, 9, tzinfo=UTC), 60
        ),
        input_path="samples.csv",
        score=profile.quantity(142_857),
        threshold=profile.quantity(CARD.threshold),
        features=(Feature("mean_drill_temp", Quantity(4150, -2, "Cel")),),
        public_key=DEVICES[kind].public_key,
        sequence=1,
        previous=None,
        runtime=Runtime("onnxruntime", "1.31.0", profile.PROFILE),
        entries=entries,
        dataset_root=dataset.dataset_root(entries),
    )


def envelope(payload: bytes, kind: str, *, signer: KnownDevice | None = None) -> bytes:
    """Return the envelope over a payload, signed under the key id of the device."""
    device = signer or DEVICES[kind]
    message = dsse.pae(dsse.STATEMENT_TYPE, payload)
    signature = dsse.Signature(claim(kind).device.hex(), device.sign(message))
    return dsse.Envelope(payload, dsse.STATEMENT_TYPE, (signature,)).dumps()


def content_of(
    sealed: bytes, document: bytes, version: ids.VersionId, deadline: int
) -> order.Content:
    """Return the content that the chain would hold the sample order to."""
    read = statement.loads(sealed)
    return order.Content(
        evidence=statement.evidence_id(sealed),
        dataset_root=read.dataset_root,
        order_digest=order.order_digest(document),
        asset_version=version,
        detector=read.detector,
        builder=ids.Address(hashlib.sha256(b"builder").digest()[:20]),
        cost=2 * 12_300 + 9_000,
        deadline=deadline,
        attempt=1,
    )


def base64_text(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def _entry(path: str, data: bytes) -> dataset.Entry:
    hasher = dataset.FileHasher()
    hasher.update(data)
    media_type = "text/csv" if path.endswith(".csv") else "text/plain"
    return dataset.Entry(path, hasher.size, media_type, hasher.chunk, hasher.root())
