"""The genesis of an embedded chain: a file in geth's shape, fixed once in the chain's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from eth.constants import BLANK_ROOT_HASH, EMPTY_UNCLE_HASH, ZERO_ADDRESS, ZERO_HASH32
from eth.vm.forks.london.blocks import LondonBlockHeader
from eth_typing import BlockNumber, Hash32

from ledger_service.domain import errors
from validators.network.files import write_atomically
from validators.network.genesis import EMBEDDED_MARK, embedded

FILE_NAME = "genesis.json"
CHAIN_ID = 1337
_ADDRESS_BYTES = 20


@dataclass(frozen=True, slots=True)
class Genesis:
    """Where a chain begins. `alloc` maps address (20 bytes) to balance in wei."""

    chain_id: int
    timestamp: int
    alloc: Mapping[bytes, int]
    gas_limit: int

    @classmethod
    def load_or_make(cls, folder: Path, chain_id: int, funded: Sequence[str]) -> Self:
        """Return the genesis of the folder, made now if there is none.

        An existing file wins over the arguments only if they agree. Raise BadNetwork otherwise.
        """
        path = folder / FILE_NAME
        if not path.exists():
            fresh = embedded(chain_id=chain_id, funded=[_checked(a) for a in funded])
            write_atomically(path, json.dumps(fresh, indent=1).encode() + b"\n")
        found = cls.load(path)
        if found.chain_id != chain_id:
            raise errors.BadNetwork(
                "The folder holds another chain.", found=found.chain_id, expected=chain_id
            )
        if missing := [a for a in funded if _address(a) not in found.alloc]:
            raise errors.BadNetwork("The genesis is fixed and does not fund these.", found=missing)
        return found

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a genesis file. Raise BadNetwork."""
        try:
            raw = json.loads(path.read_bytes())
            return cls(
                chain_id=int(raw["config"]["chainId"]),
                timestamp=int(raw["timestamp"], 16),
                alloc={_address(a): int(x["balance"], 16) for a, x in raw["alloc"].items()},
                gas_limit=int(raw["gasLimit"], 16),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise errors.BadNetwork(file=path, found=repr(exc)) from exc

    def header(self, state_root: bytes) -> LondonBlockHeader:
        """Return the header of block 0 over the state that holds `alloc`."""
        return LondonBlockHeader(
            parent_hash=ZERO_HASH32,
            uncles_hash=EMPTY_UNCLE_HASH,
            coinbase=ZERO_ADDRESS,
            state_root=Hash32(state_root),
            transaction_root=BLANK_ROOT_HASH,
            receipt_root=BLANK_ROOT_HASH,
            bloom=0,
            difficulty=1,
            block_number=BlockNumber(0),
            gas_limit=self.gas_limit,
            gas_used=0,
            timestamp=self.timestamp,
            extra_data=EMBEDDED_MARK,
            mix_hash=ZERO_HASH32,
            nonce=bytes(8),
            base_fee_per_gas=0,
        )


def _checked(text: str) -> str:
    return "0x" + _address(text).hex()


def _address(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != _ADDRESS_BYTES:
        raise errors.BadNetwork("An address has 20 bytes.", found=text)
    return raw
