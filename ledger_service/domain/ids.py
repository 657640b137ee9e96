"""Ids and units as types, so that a root cannot be passed for an id.

Each 32-byte id is a `bytes` NewType; at the edges (JSON, SQL, logs) it is 64 lower-case hex digits
without prefix. Addresses are 20 bytes; at the edges checksummed (EIP-55).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NewType

from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from ledger_service.domain import errors

EvidenceId = NewType("EvidenceId", bytes)  #: SHA-256 of the statement bytes
DatasetRoot = NewType("DatasetRoot", bytes)  #: RFC 9162 root over the dataset's entries
FileRoot = NewType("FileRoot", bytes)  #: RFC 9162 root over a file's chunks
OrderId = NewType("OrderId", bytes)  #: EIP-712 digest of an order's content
OrderDigest = NewType("OrderDigest", bytes)  #: SHA-256 of the order document
ResultDigest = NewType("ResultDigest", bytes)  #: SHA-256 of a result document
AssetId = NewType("AssetId", bytes)  #: first host's number and keccak-256 of the asset's name
VersionId = NewType("VersionId", bytes)  #: asset version, see contract
DetectorId = NewType("DetectorId", bytes)  #: SHA-256 of the detector's card
DeviceId = NewType("DeviceId", bytes)  #: SHA-256 of the device's public key (SPKI, DER)
BlockHash = NewType("BlockHash", bytes)
TxHash = NewType("TxHash", bytes)
Address = NewType("Address", bytes)  #: 20 bytes

MAX_HOST = 255
# As in the published schema: one machine has one name, so no leading zeros.
_ASSET = re.compile(r"[1-9][0-9]{0,2}/[A-Za-z0-9][A-Za-z0-9._:-]{0,119}")
_HEX32 = re.compile(r"(0x)?[0-9a-f]{64}")
_HEX20 = re.compile(r"0x[0-9a-fA-F]{40}")


def asset_id(asset: str) -> AssetId:
    """Return the on-chain id of an asset `<host>/<name>`: host's number, then 31 bytes of keccak.

    `host` is the number of the organisation that hosted the asset first. It stands in the id, and
    the contract lets nobody else register it, so a name cannot be occupied by a stranger. Raise
    UnknownField.
    """
    host, _, name = asset.partition("/")
    if not _ASSET.fullmatch(asset) or int(host) > MAX_HOST:
        raise errors.UnknownField(
            "Expected <host>/<name>, as in 1/robot-7.", found=repr(asset[:80])
        )
    return AssetId(bytes([int(host)]) + keccak(name.encode())[1:])


def device_id(public_key_der: bytes) -> DeviceId:
    """Return the on-chain id of a device key: SHA-256 of its SubjectPublicKeyInfo (RFC 5280, DER)."""
    return DeviceId(hashlib.sha256(public_key_der).digest())


def parse32(text: object) -> bytes:
    """Read 64 hex digits, with or without 0x. Raise UnknownField otherwise."""
    if not isinstance(text, str) or not _HEX32.fullmatch(text):
        raise errors.UnknownField("Expected 64 lower-case hex digits.", found=repr(text)[:80])
    return bytes.fromhex(text.removeprefix("0x"))


def parse_address(text: object) -> Address:
    """Read 0x and 40 hex digits; case is not checked. Raise UnknownField otherwise."""
    if not isinstance(text, str) or not _HEX20.fullmatch(text):
        raise errors.UnknownField(
            "Expected an address, 0x and 40 hex digits.", found=repr(text)[:80]
        )
    return Address(bytes.fromhex(text[2:]))


@lru_cache(maxsize=1024)
def checksum(address: bytes) -> str:
    """Write an address with its EIP-55 checksum."""
    return str(to_checksum_address(address))
