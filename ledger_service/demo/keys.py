"""Fresh keys for a demo plant: keystores with random passwords in files of their own."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from eth_account import Account

from ledger_service.demo.site import PARTIES, Site
from ledger_service.domain import ids
from ledger_service.files import write_secret

ROLES = ("verdict", "governance", "recovery")
BUILDER = ("service", "builder")
DEPLOYER = ("consortium", "deployer")

# The passwords are 256 random bits, so a slow key derivation would protect nothing.
KDF_ITERATIONS = 1000


def make_keys(site: Site) -> dict[tuple[str, str], ids.Address]:
    """Make all keystores of the plant; return (owner, role) -> address."""
    owners = [BUILDER, DEPLOYER, *((party.name, role) for party in PARTIES for role in ROLES)]
    return {(owner, role): _make(site.keystore(owner, role)) for owner, role in owners}


def password_file(keystore: Path) -> Path:
    """Return the password file beside a keystore."""
    return keystore.with_suffix(".password")


def _make(keystore: Path) -> ids.Address:
    account = Account.create()
    password = secrets.token_urlsafe(32)
    sealed = Account.encrypt(account.key, password, kdf="pbkdf2", iterations=KDF_ITERATIONS)
    write_secret(keystore, json.dumps(sealed))
    write_secret(password_file(keystore), password)
    return ids.parse_address(account.address)
