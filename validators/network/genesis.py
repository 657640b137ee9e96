"""The genesis of each kind of network, exactly as it ran, and the hash of its block 0.

Clique: EIP-225. QBFT: Besu 26.8 and GoQuorum 24.4.1; `extraData` is RLP([32 bytes vanity,
validators ascending, no vote, round 0, no seals]).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import rlp
from eth_hash.auto import keccak

from validators.network.plan import GAS_LIMIT
from validators.network.trie_root import EMPTY_ROOT, state_root

BALANCE = 10**24  # a million ether for each funded account
EPOCH = 30_000
INITIAL_BASE_FEE = (
    10**9
)  # EIP-1559; Besu keeps it in block 0 even where every later base fee is zero
#: Rounds double it while quorum is missing, so a small one lets a halted network resume soon.
REQUEST_TIMEOUT = {"besu": 2, "goquorum": 1}
QBFT_MARK = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
EMBEDDED_MARK = b"embedded chain, no network"
_VANITY, _SEAL = 32, 65
_FORKS = (
    *("homesteadBlock", "eip150Block", "eip155Block", "eip158Block", "byzantiumBlock"),
    *("constantinopleBlock", "petersburgBlock", "istanbulBlock", "berlinBlock", "londonBlock"),
)
_NO_UNCLES = keccak(rlp.encode([]))

Genesis = dict[str, Any]


def clique(*, chain_id: int, signers: Iterable[str], period: int, funded: Sequence[str]) -> Genesis:
    """Return geth's genesis for Clique. No terminal difficulty and no Shanghai: it would not seal."""
    ascending = b"".join(_ascending(signers))
    return {
        "config": {
            "chainId": chain_id,
            **dict.fromkeys(_FORKS, 0),
            "clique": {"period": period, "epoch": EPOCH},
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "alloc": _alloc(funded),
        "extraData": "0x" + (bytes(_VANITY) + ascending + bytes(_SEAL)).hex(),
        "baseFeePerGas": "0x0",
    }


def besu(
    *, chain_id: int, validators: Iterable[str], period: int, funded: Sequence[str]
) -> Genesis:
    """Return Besu's genesis for QBFT with validators chosen by header votes and free gas."""
    return {
        "config": {
            "chainId": chain_id,
            "berlinBlock": 0,
            "londonBlock": 0,
            "zeroBaseFee": True,
            "qbft": {
                "blockperiodseconds": period,
                "epochlength": EPOCH,
                "requesttimeoutseconds": REQUEST_TIMEOUT["besu"],
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "alloc": _alloc(funded),
        "extraData": qbft_extra_data(validators),
        "mixHash": QBFT_MARK,
        "coinbase": "0x" + "00" * 20,
    }


def goquorum(
    *, chain_id: int, validators: Iterable[str], period: int, funded: Sequence[str]
) -> Genesis:
    """Return GoQuorum's genesis for QBFT. It ignores `londonBlock`: headers have no base fee."""
    return {
        "config": {
            "chainId": chain_id,
            **dict.fromkeys(_FORKS, 0),
            "isQuorum": True,
            "txnSizeLimit": 64,
            "maxCodeSize": 0,
            "qbft": {
                "epochlength": EPOCH,
                "blockperiodseconds": period,
                "requesttimeoutseconds": REQUEST_TIMEOUT["goquorum"],
                "policy": 0,
                "ceil2Nby3Block": 0,
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "alloc": _alloc(funded),
        "extraData": qbft_extra_data(validators),
        "mixHash": QBFT_MARK,
    }


def embedded(*, chain_id: int, funded: Sequence[str]) -> Genesis:
    """Return the genesis of an embedded chain that begins now: geth's shape, no consensus."""
    return {
        "config": {"chainId": chain_id, **dict.fromkeys(_FORKS, 0)},
        "nonce": "0x0",
        "timestamp": hex(int(time.time())),
        "extraData": "0x" + EMBEDDED_MARK.hex(),
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "baseFeePerGas": "0x0",
        "alloc": _alloc(funded),
    }


def qbft_extra_data(validators: Iterable[str]) -> str:
    """Return the `extraData` of a QBFT genesis as hex."""
    return _hex(rlp.encode([bytes(_VANITY), _ascending(validators), [], b"", []]))


def digest(genesis: Mapping[str, Any]) -> str:
    """Return the hash of block 0 that a node makes of a genesis, as hex.

    Holds for the geneses above: accounts with balances only, London from block 0 unless GoQuorum.
    """
    balances = {_raw(a): int(x["balance"], 16) for a, x in genesis["alloc"].items()}
    header: list[object] = [
        bytes(32),
        _NO_UNCLES,
        bytes(20),
        state_root(balances),
        EMPTY_ROOT,
        EMPTY_ROOT,
        bytes(256),
        int(genesis["difficulty"], 16),
        0,
        int(genesis["gasLimit"], 16),
        0,
        int(genesis["timestamp"], 16),
        _raw(genesis["extraData"]),
        _raw(genesis.get("mixHash", "0x" + "00" * 32)),
        int(genesis["nonce"], 16).to_bytes(8, "big"),
    ]
    if not genesis["config"].get("isQuorum"):
        header.append(int(genesis.get("baseFeePerGas", hex(INITIAL_BASE_FEE)), 16))
    return _hex(keccak(rlp.encode(header)))


def _alloc(funded: Sequence[str]) -> dict[str, dict[str, str]]:
    return {address.lower().removeprefix("0x"): {"balance": hex(BALANCE)} for address in funded}


def _ascending(addresses: Iterable[str]) -> list[bytes]:
    return sorted(_raw(address) for address in addresses)


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
