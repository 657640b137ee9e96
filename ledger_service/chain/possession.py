"""Proofs that keys are held, in a file: whoever brings new keys signs, and others hand it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from contracts.load import enums
from ledger_service.chain.keys import LocalSigner, possession_digest
from ledger_service.chain.settings import Deployment, read_json
from ledger_service.domain import errors, ids

#: The roles of an organisation's keys, in the contract's order.
ORGANISATION_ROLES = ("Verdict", "Governance", "Recovery")
BUILDER = "Builder"
V_OFFSET = 27  # Ethereum writes the recovery bit so


@dataclass(frozen=True, slots=True)
class Possession:
    """Keys of one organisation (or a builder that it sponsors), each with its proof, by role.

    A proof names chain, consortium, organisation and role; it is worth nothing anywhere else.
    """

    chain_id: int
    consortium: ids.Address
    number: int
    proofs: Mapping[str, tuple[ids.Address, bytes]]

    @classmethod
    def make(cls, place: Deployment, number: int, keys: Mapping[str, LocalSigner]) -> Possession:
        """Let each key sign for its role."""
        proofs = {
            role: (
                key.address,
                key.prove_possession(place.consortium, place.chain_id, number, role_number(role)),
            )
            for role, key in keys.items()
        }
        return cls(place.chain_id, place.consortium, number, proofs)

    @classmethod
    def load(cls, path: Path, place: Deployment) -> Possession:
        """Read a file and check every proof in it. Raise ConfigError."""
        fields = read_json(path, "file of proofs", "`mol key prove` writes it")
        try:
            found = cls._from_json(fields)
        except (AttributeError, KeyError, TypeError, ValueError, errors.UnknownField) as exc:
            raise errors.ConfigError("Not a file of proofs.", file=path, cause=repr(exc)) from exc
        if (found.chain_id, found.consortium) != (place.chain_id, place.consortium):
            raise errors.ConfigError(
                "Made for another consortium.",
                found=f"{ids.checksum(found.consortium)} on {found.chain_id}",
                expected=f"{ids.checksum(place.consortium)} on {place.chain_id}",
            )
        for role in found.proofs:
            found.check(role)
        return found

    @classmethod
    def _from_json(cls, fields: Mapping[str, Any]) -> Possession:
        proofs = {
            role: (ids.parse_address(item["address"]), bytes.fromhex(item["proof"]))
            for role, item in fields["keys"].items()
        }
        consortium = ids.parse_address(fields["consortium"])
        return cls(int(fields["chainId"]), consortium, int(fields["organisation"]), proofs)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form; there is no secret in it."""
        return {
            "chainId": self.chain_id,
            "consortium": ids.checksum(self.consortium),
            "organisation": self.number,
            "keys": {
                role: {"address": ids.checksum(address), "proof": proof.hex()}
                for role, (address, proof) in self.proofs.items()
            },
        }

    def of(self, *roles: str) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
        """Return the addresses of these roles and their proofs. Raise ConfigError if one is missing."""
        missing = [role for role in roles if role not in self.proofs]
        if missing:
            raise errors.ConfigError(
                "The file of proofs lacks a key.", found=list(self.proofs), expected=list(roles)
            )
        chosen = [self.proofs[role] for role in roles]
        return tuple(ids.checksum(address) for address, _ in chosen), tuple(p for _, p in chosen)

    def check(self, role: str) -> None:
        """Raise ConfigError unless the key signed its proof."""
        address, proof = self.proofs[role]
        digest = possession_digest(self.consortium, self.chain_id, self.number, role_number(role))
        try:
            signature = Signature(proof[:-1] + bytes([proof[-1] - V_OFFSET]))
            signer = signature.recover_public_key_from_msg_hash(digest).to_canonical_address()
        except (BadSignature, ValidationError, IndexError, ValueError) as exc:
            raise errors.ConfigError("Not a signature.", key=role) from exc
        if signer != address:
            raise errors.ConfigError(
                "The proof is not by this key.", key=role, found=ids.checksum(address)
            )


def role_number(role: str) -> int:
    """Return the number of a role. Raise ConfigError."""
    if role not in (*ORGANISATION_ROLES, BUILDER):
        raise errors.ConfigError("No such role.", found=role)
    return enums()["Role"].index(role)
