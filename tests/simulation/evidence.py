"""Devices, what they seal, and the organisations' copies of the detector: small, fast, the same each time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.detectors import Detector, Scored, robot
from ledger_service.domain import dataset, dsse, ids, jobplan, profile, statement
from ledger_service.domain.statement import Feature, Runtime, Statement, Window
from ledger_service.domain.units import Quantity
from ledger_service.testing.clock import START

DETECTOR = robot.open_shipped()
CARD = DETECTOR.card
MODE = CARD.failure_modes[0]
ROWS = CARD.input.min_rows
CHUNK = 64 * 1024
PLAN = f"""
id: robot-plan
assetType: {CARD.asset_type}
failureMode: {MODE}
title: Change the drill
tasks: [{{description: Change the drill, minutes: 10}}]
parts: [{{number: DRL-12, description: Drill, quantity: 2, unitPrice: 8900}}]
supplier: {{id: SUP-9, name: Tools Depot}}
skill: operator
lockOut: []
labourCost: 6000
priority: 3
deadlineHours: 48
"""
PLANS = jobplan.JobPlans([jobplan.loads(PLAN)])
FEATURE = Feature("mean_speed", Quantity(1200, -3, "1"))
LIE_EVERY = 7
POOL = 16


@dataclass(frozen=True)
class Packed:
    """A statement with its files. `true`: its score is the one that the bytes give."""

    id: ids.EvidenceId
    claim: Statement
    envelope: bytes
    files: Mapping[str, bytes]
    true: bool


def asset_of(device: int) -> str:
    """Return the asset that a device watches."""
    return f"1/robot-{device}"


@cache
def key_of(device: int) -> Ed25519PrivateKey:
    """Return a device's key."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"device %d" % device).digest())


@cache
def public_key(device: int) -> bytes:
    """Return a device's public key, DER."""
    return key_of(device).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def pool(device: int) -> tuple[Packed, ...]:
    """Return what a device ever seals, in order; the same in every run."""
    found: list[Packed] = []
    for sequence in range(1, POOL + 1):
        found.append(_pack(device, sequence, found[-1].id if found else None))
    return tuple(found)


def _pack(device: int, sequence: int, previous: ids.EvidenceId | None) -> Packed:
    score = CARD.threshold + 1000 * sequence
    true = (device + sequence) % LIE_EVERY != 0
    files = {"samples.csv": b"%d %d %d\n" % (score if true else 1, device, sequence)}
    if sequence % 2:
        files["note.txt"] = b"the same for all"
    entries = tuple(_entry(path, data) for path, data in files.items())
    period = CARD.input.period_seconds
    claim = Statement(
        asset=asset_of(device),
        detector=DETECTOR.id,
        failure_mode=MODE,
        window=Window(START - timedelta(seconds=ROWS * period), START, period),
        input_path="samples.csv",
        score=profile.quantity(score),
        threshold=profile.quantity(CARD.threshold),
        features=(FEATURE,),
        public_key=public_key(device),
        sequence=sequence,
        previous=previous,
        runtime=Runtime("onnxruntime", "1.31", "q6"),
        entries=entries,
        dataset_root=dataset.dataset_root(entries),
    )
    payload = claim.dumps()
    signature = key_of(device).sign(dsse.pae(dsse.STATEMENT_TYPE, payload))
    mark = dsse.Signature(claim.device.hex(), signature)
    envelope = dsse.Envelope(payload, dsse.STATEMENT_TYPE, (mark,)).dumps()
    return Packed(statement.evidence_id(payload), claim, envelope, files, true)


def _entry(path: str, data: bytes) -> dataset.Entry:
    hasher = dataset.FileHasher(CHUNK)
    hasher.update(data)
    return dataset.Entry(path, len(data), "text/plain", CHUNK, hasher.root())


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Yield bytes as a network would, in two parts."""
    half = len(data) // 2
    for part in (data[:half], data[half:]):
        await asyncio.sleep(0)
        yield part


class SimModels:
    """An organisation's own copies: the shipped card, and a run that reads the score from the bytes."""

    def __init__(self, ran: Callable[[bytes], None]) -> None:
        """`ran` is told of the bytes of each run."""
        self._ran = ran

    def find(self, detector: ids.DetectorId) -> Detector | None:
        """Return the detector."""
        return DETECTOR if detector == DETECTOR.id else None

    async def run(self, detector: Detector, data: bytes) -> Scored:
        """Score, some turns later."""
        assert detector is DETECTOR
        await asyncio.sleep(0)
        self._ran(data)
        score = int(data.split()[0])
        return Scored(ROWS, score / profile.SCALE, score, (FEATURE,), MODE)
