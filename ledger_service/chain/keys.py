"""Keys that sign transactions, from keystores. The key stays inside; nothing prints it."""

from __future__ import annotations

import json
import secrets
import stat
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_typing import Hash32

from ledger_service.chain.recursion import keep_safe
from ledger_service.domain import errors, ids, key_errors
from ledger_service.domain.calls import Signed, Unsigned
from ledger_service.files import write_secret

keep_safe()

# The passwords made here are 256 random bits, so a slow key derivation would protect nothing.
KDF_ITERATIONS = 1000


class LocalSigner:
    """The Signer port with a key in this process's memory."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address = ids.parse_address(account.address)

    def __repr__(self) -> str:
        """Return the address; never the key."""
        return f"LocalSigner({ids.checksum(self.address)})"

    def sign(self, unsigned: Unsigned, nonce: int) -> Signed:
        """Sign (EIP-155 or EIP-1559, as the fees say)."""
        fields: dict[str, Any] = {
            "chainId": unsigned.chain_id,
            "nonce": nonce,
            "gas": unsigned.gas,
            "data": unsigned.data,
            "value": unsigned.value,
            **dict(unsigned.fees),
        }
        if unsigned.to is not None:
            fields["to"] = ids.checksum(unsigned.to)
        signed = self._account.sign_transaction(fields)
        return Signed(
            raw=bytes(signed.raw_transaction),
            hash=ids.TxHash(bytes(signed.hash)),
            signer=self.address,
            nonce=nonce,
        )

    def prove_possession(
        self, contract: ids.Address, chain_id: int, number: int, role: int
    ) -> bytes:
        """Sign what shows the consortium that this key is held (EIP-191, version 0)."""
        digest = possession_digest(contract, chain_id, number, role)
        return bytes(self._account.unsafe_sign_hash(Hash32(digest)).signature)


def possession_digest(contract: ids.Address, chain_id: int, number: int, role: int) -> bytes:
    """Return what a key signs to prove that it is held, as `possession` of the contract does."""
    words = b"".join(value.to_bytes(32) for value in (chain_id, number, role))
    return keccak(b"\x19\x00" + contract + words)


def load_keystore(keystore: Path, password_file: Path) -> LocalSigner:
    """Open a keystore (Web3 Secret Storage) with the password in a file of its own.

    Raise KeyMissing; BadKeystore for a wrong password, or one in a file that others may read.
    """
    if not keystore.exists():  # before its password, which then lies beside it neither
        raise key_errors.KeyMissing(file=keystore)
    try:
        mode = stat.S_IMODE(password_file.stat().st_mode)
        if mode & 0o077:
            raise errors.BadKeystore(
                "Others may read the password.",
                file=password_file,
                found=oct(mode),
                expected="0o600",
            )
        password = password_file.read_text(encoding="utf-8").strip()
        sealed = json.loads(keystore.read_text(encoding="utf-8"))
        key = Account.decrypt(sealed, password)
    except OSError as exc:
        raise key_errors.KeyMissing(file=exc.filename, why=exc.strerror) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise errors.BadKeystore("Wrong password, or not a keystore.", file=keystore) from exc
    return LocalSigner(Account.from_key(key))


def make_keystore(keystore: Path) -> ids.Address:
    """Make a new key: a keystore, and its password in a file beside it, for the owner alone.

    Raise KeyExists.
    """
    beside = password_beside(keystore)
    if keystore.exists() or beside.exists():
        raise key_errors.KeyExists(file=keystore)
    account, password = Account.create(), secrets.token_urlsafe(32)
    sealed = Account.encrypt(account.key, password, kdf="pbkdf2", iterations=KDF_ITERATIONS)
    write_secret(beside, password)
    write_secret(keystore, json.dumps(sealed))
    return ids.parse_address(account.address)


def password_beside(keystore: Path) -> Path:
    """Return where a keystore's password lies if nothing else is said."""
    return keystore.with_suffix(".password")
