"""What is wrong with the file of a key, before any password is tried."""

from __future__ import annotations

from ledger_service.domain import errors


class KeyMissing(errors.ConfigError):
    """A key's file cannot be read."""

    code = "CO03"


class KeyExists(errors.ConfigError):
    """There is a key already, and keys are not overwritten."""

    code = "CO04"


class BadDeviceKey(errors.ConfigError):
    """The file is not a device's private key (PEM, PKCS 8, Ed25519 or P-256)."""

    code = "CO05"
