"""A device's key (PEM, Ed25519 or P-256) and its hash chain: sequence and previous statement."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger_service.domain import dsse, errors, ids, key_errors

STATE_SUFFIX = ".state.json"


@dataclass(frozen=True, slots=True)
class Link:
    """Where the chain stands: the last sequence number used, and its evidence id."""

    sequence: int = 0
    previous: ids.EvidenceId | None = None


class Device:
    """A signer of evidence. The state lies beside the key, in `<key>.state.json`."""

    def __init__(self, key_file: Path) -> None:
        """Open the key. Raise KeyMissing, BadDeviceKey."""
        self._state = key_file.with_name(key_file.name + STATE_SUFFIX)
        try:
            key = load_pem_private_key(key_file.read_bytes(), password=None)
        except OSError as exc:
            raise key_errors.KeyMissing(file=key_file, why=exc.strerror) from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise key_errors.BadDeviceKey(file=key_file) from exc
        if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise key_errors.BadDeviceKey(file=key_file, found=type(key).__name__)
        self._key = key
        self.public_key = key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        dsse.load_public_key(self.public_key)  # refuses other curves

    @property
    def id(self) -> ids.DeviceId:
        """Return the id under which the chain knows the key."""
        return ids.device_id(self.public_key)

    def link(self) -> Link:
        """Return where the chain stands. Raise BrokenLog if the state cannot be read."""
        if not self._state.exists():
            return Link()
        try:
            fields = json.loads(self._state.read_text(encoding="utf-8"))
            return Link(int(fields["sequence"]), ids.EvidenceId(ids.parse32(fields["previous"])))
        except (ValueError, KeyError, TypeError) as exc:
            raise errors.BrokenLog("The device's state.", file=self._state) from exc

    def advance(self, link: Link) -> None:
        """Write the state durably. Done before a statement leaves: a lost one is a gap, never a fork."""
        assert link.previous is not None
        fields = {"sequence": link.sequence, "previous": link.previous.hex()}
        fresh = self._state.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(fields, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._state)
        folder = os.open(self._state.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def seal(self, statement: bytes) -> dsse.Envelope:
        """Sign a statement's bytes (DSSE)."""
        message = dsse.pae(dsse.STATEMENT_TYPE, statement)
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            signature = self._key.sign(message)
        else:
            signature = self._key.sign(message, ec.ECDSA(SHA256()))
        return dsse.Envelope(
            statement, dsse.STATEMENT_TYPE, (dsse.Signature(self.id.hex(), signature),)
        )


def make_key(path: Path, *, kind: str = "ed25519") -> Device:
    """Write a new private key, readable by its owner alone: `ed25519` or `p256`; open it."""
    key = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else ec.generate_private_key(ec.SECP256R1())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Device(path)
