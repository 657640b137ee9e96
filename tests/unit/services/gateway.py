from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger_service.domain import dataset, dsse, ids, statement
from ledger_service.domain.statement import Feature, Runtime, Statement, Window
from ledger_service.domain.units import Quantity
from ledger_service.testing.clock import START

ASSET = "1/robot-7"
DETECTOR = ids.DetectorId(hashlib.sha256(b"detector").digest())
CHUNK = 64 * 1024
MODE = "dull-tool"


@dataclass(frozen=True)
class Packed:
    """A statement with its files, as a gateway posts them."""

    claim: Statement
    envelope: bytes
    files: Mapping[str, bytes]

    @property
    def id(self) -> ids.EvidenceId:
        return statement.evidence_id(dsse.loads(self.envelope).payload)


class Gateway:
    """A device that signs; its sequence goes on by itself."""

    def __init__(self, name: str = "device") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.public_key = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.id = ids.device_id(self.public_key)
        self.sequence = 0
        self.previous: ids.EvidenceId | None = None

    def pack(self, files: Mapping[str, bytes] | None = None, **changes: Any) -> Packed:
        """Make the next statement over the files; `changes` are fields of the statement."""
        self.sequence += 1
        files = files or {"samples.csv": b"speed\n%d\n" % self.sequence, "note.txt": b"same"}
        claim = replace(self._claim(files), **changes)
        packed = Packed(claim, self.sign(claim.dumps()), files)
        self.previous = packed.id
        return packed

    def sign(self, payload: bytes, *, keyid: str | None = None) -> bytes:
        """Return the envelope of any payload."""
        signature = self._key.sign(dsse.pae(dsse.STATEMENT_TYPE, payload))
        mark = dsse.Signature(self.id.hex() if keyid is None else keyid, signature)
        return dsse.Envelope(payload, dsse.STATEMENT_TYPE, (mark,)).dumps()

    def _claim(self, files: Mapping[str, bytes]) -> Statement:
        entries = tuple(entry(path, data) for path, data in files.items())
        return Statement(
            asset=ASSET,
            detector=DETECTOR,
            failure_mode=MODE,
            window=Window(START - timedelta(hours=1), START, 60),
            input_path=next(iter(files)),
            score=Quantity(1500, -3, "1"),
            threshold=Quantity(900, -3, "1"),
            features=(Feature("speed", Quantity(1200, 0, "/min")),),
            public_key=self.public_key,
            sequence=self.sequence,
            previous=self.previous,
            runtime=Runtime("onnxruntime", "1.31", "q6"),
            entries=entries,
            dataset_root=dataset.dataset_root(entries),
        )


def entry(path: str, data: bytes, chunk: int = CHUNK) -> dataset.Entry:
    """Return a file's entry."""
    hasher = dataset.FileHasher(chunk)
    hasher.update(data)
    return dataset.Entry(path, len(data), "text/plain", chunk, hasher.root())


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield bytes as a network would."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
