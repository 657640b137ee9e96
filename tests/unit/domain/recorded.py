"""Answers of real networks, as they were recorded; and who was validator when, counted from genesis and votes."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ledger_service.domain import headers, seals
from ledger_service.domain.headers import Header
from ledger_service.domain.ids import Address

QBFT = ("besu-qbft", "goquorum-qbft")
ALL = (*QBFT, "geth-clique")


@dataclass(frozen=True)
class Seen:
    """A header as one node gave it."""

    hash: bytes
    header: Header


@dataclass
class Recording:
    """One network: all distinct headers, and all exchanges by method."""

    kind: str
    seen: dict[tuple[bytes, bytes], Seen] = field(default_factory=dict)
    asked: dict[str, list[tuple[list[Any], Any]]] = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_number: dict[int, Seen] = {}

    def learn(self, answer: Any) -> None:
        """Keep the answer if it is a header with a hash."""
        if isinstance(answer, dict) and answer.get("hash") and "extraData" in answer:
            header = headers.from_rpc(answer)
            item = Seen(bytes.fromhex(answer["hash"][2:]), header)
            self.seen[item.hash, header.extra] = item
            self.by_number[header.number] = item

    def validators(self) -> dict[int, frozenset[Address]]:
        """Return who may seal block n, for every block of the recording."""
        sealed = seals.clique_signers if self.kind == "geth-clique" else _listed
        present = frozenset(sealed(self.by_number[0].header))
        found: dict[int, frozenset[Address]] = {}
        ballots: dict[Address, dict[Address, bool]] = {}
        for number in range(1, max(self.by_number) + 1):
            found[number] = present
            header = self.by_number[number].header
            author, vote = self._vote(header)
            if vote is None or (vote.candidate in present) == vote.add:
                continue
            ballot = ballots.setdefault(vote.candidate, {})
            ballot[author] = vote.add
            if sum(ballot.get(who) is vote.add for who in present) > len(present) // 2:
                present = present | {vote.candidate} if vote.add else present - {vote.candidate}
                del ballots[vote.candidate]
        return found

    def _vote(self, header: Header) -> tuple[Address, seals.Vote | None]:
        if self.kind == "geth-clique":
            return seals.clique_signer(header), seals.clique_vote(header)
        return Address(header.miner), seals.qbft_extra(header).vote


def _listed(header: Header) -> tuple[Address, ...]:
    return tuple(Address(item) for item in seals.qbft_extra(header).validators)


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl*")):
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        yield from map(json.loads, text.splitlines())


@cache
def load(kind: str) -> Recording:
    """Return the recording; skip where it is not."""
    root = os.environ.get("MOL_TEST_DATA")
    if root is None or not (folder := Path(root) / "chain" / kind).is_dir():
        pytest.skip(f"MOL_TEST_DATA names no folder with recordings of {kind}")
    found = Recording(kind)
    for line in _lines(folder):
        request, response = line.get("request"), line.get("response")
        if not isinstance(response, dict):
            continue
        found.learn((response.get("params") or {}).get("result"))
        if request and "method" in request and "result" in response:
            found.learn(response["result"])
            exchange = (request.get("params", []), response["result"])
            found.asked.setdefault(request["method"], []).append(exchange)
    found.orders = json.loads((folder / "outcomes.json").read_text())["orders"]
    return found


def raw(text: str) -> bytes:
    """Read hex with 0x."""
    return bytes.fromhex(text[2:])


def number(text: str) -> bytes:
    """Read a quantity as its big-endian bytes."""
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8)
