"""The book: journal file and memory as one, so that nothing leaves that is not durable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ledger_service.domain import errors, ids
from validators.journal import file
from validators.journal.memory import Memory, SignedVerdict, load_signed


class Book:
    """The journal of the one agent that writes in this folder."""

    def __init__(self, folder: Path, fsync: Callable[[int], None] = os.fsync) -> None:
        """Open. Raise InUse, BrokenLog. `fsync` makes a descriptor durable."""
        self._journal = file.Journal(folder, fsync)
        self.memory = Memory(file.read(folder))
        self._syncing = asyncio.Lock()
        self._lost = asyncio.Event()

    def write(self, *entries: dict[str, Any]) -> None:
        """Make entries durable, all or none of them; then remember them. Raise StorageError."""
        self._note(entries, durable=True)

    def jot(self, *entries: dict[str, Any]) -> None:
        """Remember entries, all or none of them; durable when `sync` has returned. Raise StorageError.

        A killed process leaves them; a machine that loses its power may not. So whoever acts on one
        where others see it waits for `sync` first.
        """
        self._note(entries, durable=False)

    def signed(self, signer: ids.Address, nonces: Collection[int]) -> list[SignedVerdict]:
        """Return the transactions of a key that were mined with each of these nonces, by nonce; the file is read.

        The last that it signed, where it is not known which they were.
        """
        found: dict[int, dict[str, SignedVerdict]] = {}
        mined: set[str] = set()
        for line in self._journal.read():
            for entry in line.get("entries", [line]):
                ours = entry.get("kind") == "signed" and entry["signer"] == signer.hex()
                if ours and entry["nonce"] in nonces:
                    found.setdefault(entry["nonce"], {})[entry["hash"]] = load_signed(entry)
                elif entry.get("kind") == "mined" and "mined" in entry:
                    mined.add(entry["mined"])
        return [_one_of(found[nonce], mined) for nonce in sorted(found)]

    async def sync(self) -> None:
        """Make durable all that was jotted; who asks at the same time shares one fsync. Raise StorageError."""
        wanted = self._journal.lines
        async with self._syncing:
            if self._journal.durable < wanted:
                try:
                    await asyncio.to_thread(self._journal.sync)
                finally:
                    self._look_whether_lost()

    async def demand_whole(self) -> None:
        """Wait for ever, or until lines are lost that are remembered here. Raise StorageError then."""
        await self._lost.wait()
        raise errors.StorageError("The journal lost lines; start the agent again.")

    def _note(self, entries: tuple[dict[str, Any], ...], *, durable: bool) -> None:
        entry = entries[0] if len(entries) == 1 else {"kind": "together", "entries": entries}
        try:
            self._journal.write(entry, durable=durable)
        finally:
            self._look_whether_lost()
        self.memory.note(entry)

    def _look_whether_lost(self) -> None:
        if self._journal.lost:
            self._lost.set()

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()


def _one_of(signed: dict[str, SignedVerdict], mined: set[str]) -> SignedVerdict:
    """Return the one that was mined, else the last."""
    name = next((name for name in signed if name in mined), list(signed)[-1])
    return signed[name]


class ReadBook(Book):
    """The book of an agent that runs elsewhere: it can be read and not written."""

    def __init__(self, folder: Path) -> None:  # no lock is taken, so the parent's is not run
        """Read. Raise BrokenLog."""
        self.memory = Memory(file.read(folder))

    def write(self, *entries: dict[str, Any]) -> None:
        """Raise InUse."""
        raise errors.InUse("The journal is only read here.", found=len(entries))

    def jot(self, *entries: dict[str, Any]) -> None:
        """Raise InUse."""
        self.write(*entries)

    def close(self) -> None:
        """Nothing is open."""
