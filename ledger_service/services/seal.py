"""Seal: statement and files in, checked and hashed while they stream; durable before the answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from ledger_service import ports
from ledger_service.domain import dataset, dsse, errors, ids, statement
from ledger_service.domain.jobplan import JobPlans
from ledger_service.domain.records import Evidence, Hop
from ledger_service.domain.statement import Statement
from ledger_service.services.wakes import Wakes

CLOCK_SKEW = timedelta(seconds=120)
STAGING = "staging"
STAMP = "%Y%m%dT%H%M%S"
ABANDONED_AFTER = timedelta(days=1)
#: Bytes of an envelope that is read in less time than it takes to hand it to a thread.
SMALL_ENVELOPE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken in. Sizes in bytes; `backlog` counts evidence without a settled order."""

    require_signature: bool = True
    max_file: int = 8 * 1024**3
    max_total: int = 16 * 1024**3
    backlog: int = 1000
    max_age: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The answer: the same for the same evidence, however often it comes. The tracker says the rest."""

    evidence: ids.EvidenceId
    dataset_root: ids.DatasetRoot
    new: bool


def file_key(entry: dataset.Entry) -> str:
    """Return where a file's bytes are kept: by root and chunk size, so equal files are kept once."""
    return f"files/{entry.root.hex()}-{entry.chunk}"


class Seal:
    """Takes evidence in."""

    def __init__(
        self,
        *,
        store: ports.Store,
        objects: ports.ObjectStore,
        locations: ports.Locations,
        ledger: ports.Ledger,
        plans: JobPlans,
        asset_types: Mapping[str, str],
        limits: Limits,
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        self._store = store
        self.objects = objects
        self._locations = locations
        self._ledger = ledger
        self._plans = plans
        self._asset_types = asset_types
        self._limits = limits
        self._clock = clock
        self._wakes = wakes

    async def begin(self, envelope: bytes, *, only: str = "") -> Sealing | Sealed:
        """Check the statement; return a sealing that takes the files, or the answer if it is known.

        `only`: the one asset that the sender may speak for. Raise InvalidEvidence (each kind),
        Forbidden, BacklogFull, ChainError.
        """
        sealed, claim = await _read(envelope)
        evidence = statement.evidence_id(sealed.payload)
        if only and claim.asset != only:
            raise errors.Forbidden(
                "The token is another asset's.", found=claim.asset, expected=only
            )
        self._check_signature(sealed, claim)
        sealing = Sealing(self, evidence, envelope, claim, self._clock.now())
        known = await self._check_room(sealing)
        if known is not None:
            return known
        await self._check_chain(claim)
        return sealing

    async def from_location(self, envelope: bytes, location: str, *, only: str = "") -> Sealed:
        """Seal files that lie in an allowed location: copied and hashed once."""
        sealing = await self.begin(envelope, only=only)
        if isinstance(sealing, Sealed):
            return sealing
        async with sealing:
            for entry in sealing.claim.entries:
                try:
                    await sealing.file(entry.path, self._locations.open(location, entry.path))
                except errors.NotFound as exc:
                    raise errors.MissingFile("At the location.", found=entry.path) from exc
            return await sealing.finish()

    async def tidy(self) -> bool:
        """Delete what uploads left in staging when their process was killed; never says busy."""
        before = (self._clock.now() - ABANDONED_AFTER).strftime(STAMP)
        async for key in self.objects.keys(STAGING):
            if key.removeprefix(f"{STAGING}/") < before:
                await self.objects.delete(key)
        return False

    async def commit(self, sealing: Sealing) -> Sealed:
        """Write the row. The same evidence, sealed meanwhile by another call, gives its answer."""
        now, claim = self._clock.now(), sealing.claim
        try:
            async with self._store.transaction() as rows:
                # What was there before the upload still is; what was missing may have come.
                sealing.gap = sealing.gap and await _gap(rows.evidence, claim)
                await rows.evidence.add(_row(sealing, now=now))
                files = len(claim.entries)
                size = sum(entry.size for entry in claim.entries)
                detail = f"{files} file(s), {size} bytes" + (
                    ", a statement before it is missing" * sealing.gap
                )
                await rows.evidence.hop(Hop(sealing.evidence, "sealed", now, detail=detail))
        except errors.Conflict:
            async with self._store.reading() as rows:
                known = await _known(rows.evidence, sealing.evidence)
            if known is None:
                raise
            return known
        self._wakes.sealed.ring()
        return Sealed(sealing.evidence, claim.dataset_root, new=True)

    def _check_signature(self, sealed: dsse.Envelope, claim: Statement) -> None:
        if sealed.signatures or self._limits.require_signature:
            statement.verify_signature(sealed, claim)

    def _check_claim(self, claim: Statement, now: datetime) -> None:
        window = claim.window
        if window.end > now + CLOCK_SKEW:
            raise errors.WindowOutOfRange("It ends in the future.", found=window.end, now=now)
        if window.end < now - self._limits.max_age:
            raise errors.WindowOutOfRange(
                "It is too old.", found=window.end, expected=f"at most {self._limits.max_age} ago"
            )
        if claim.score.decimal() <= claim.threshold.decimal():
            raise errors.BelowThreshold(
                found=claim.score.decimal(), expected=f"more than {claim.threshold.decimal()}"
            )
        for entry in claim.entries:
            if entry.size > self._limits.max_file:
                raise errors.TooLarge(
                    found=entry.size, expected=f"at most {self._limits.max_file}", path=entry.path
                )
        total = sum(entry.size for entry in claim.entries)
        if total > self._limits.max_total:
            raise errors.TooLarge(found=total, expected=f"at most {self._limits.max_total} in all")
        if claim.asset not in self._asset_types:
            raise errors.UnknownAsset("It is not in this service's settings.", found=claim.asset)
        self._plans.find(self._asset_types[claim.asset], claim.failure_mode)

    async def _check_chain(self, claim: Statement) -> None:
        asset = ids.asset_id(claim.asset)
        # Asked at once, so that they go to the node in one request.
        version, detector, device = await asyncio.gather(
            self._ledger.current_version(asset),
            self._ledger.detector_live(claim.detector),
            self._ledger.device_live(asset, claim.device),
        )
        if version is None:
            raise errors.UnknownAsset(found=claim.asset)
        if not detector:
            raise errors.DetectorNotLive(found=claim.detector.hex())
        if not device:
            raise errors.UnknownDevice(found=claim.device.hex(), asset=claim.asset)

    async def _check_room(self, sealing: Sealing) -> Sealed | None:
        """Return the answer if it is known; refuse before the upload what would be refused after."""
        async with self._store.reading() as rows:
            try:
                await rows.evidence.check(_row(sealing, now=sealing.begun))
            except errors.Conflict:
                known = await _known(rows.evidence, sealing.evidence)
                if known is None:
                    raise
                return known
            self._check_claim(sealing.claim, sealing.begun)
            sealing.gap = await _gap(rows.evidence, sealing.claim)
            waiting = await rows.evidence.waiting()
        if waiting >= self._limits.backlog:
            raise errors.BacklogFull(found=waiting, expected=f"fewer than {self._limits.backlog}")
        return None


class Sealing:
    """One piece of evidence on its way in. Used as a context: what is not finished is cleared away."""

    def __init__(
        self,
        seal: Seal,
        evidence: ids.EvidenceId,
        envelope: bytes,
        claim: Statement,
        now: datetime,
    ) -> None:
        self._seal = seal
        self.evidence = evidence
        self.envelope = envelope
        self.claim = claim
        self.begun = now
        self.gap = True  # until it was looked for
        self._expected = {entry.path: entry for entry in claim.entries}
        self._staged: dict[str, str] = {}
        # Flat, so that no folder is left over; dated, so that what a kill leaves is told apart.
        self._prefix = f"{STAGING}/{now.strftime(STAMP)}-{uuid.uuid4().hex}"

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Delete what is left in staging."""
        for key in self._staged.values():
            await self._seal.objects.delete(key)

    async def file(self, path: str, chunks: AsyncIterable[bytes]) -> None:
        """Store and hash a file as it streams. Raise ExtraFile, DuplicatePath, DigestMismatch."""
        dataset.check_path(path)
        if path not in self._expected:
            raise errors.ExtraFile(found=repr(path))
        if path in self._staged:
            raise errors.DuplicatePath(found=repr(path))
        entry = self._expected[path]
        key = f"{self._prefix}-{len(self._staged)}"
        hasher = dataset.FileHasher(entry.chunk)
        self._staged[path] = key
        await self._seal.objects.put(key, _hashed(chunks, hasher, entry), staged=True)
        if hasher.size != entry.size:
            raise errors.DigestMismatch(
                "The size differs.", path=path, found=hasher.size, expected=entry.size
            )
        if hasher.root() != entry.root:
            raise errors.DigestMismatch(
                path=path, found=hasher.root().hex(), expected=entry.root.hex()
            )

    async def finish(self) -> Sealed:
        """Make it durable and answer. Raise MissingFile, SequenceFork, DatasetReused."""
        missing = self._expected.keys() - self._staged.keys()
        if missing:
            raise errors.MissingFile(
                found=f"{len(self._staged)} of {len(self._expected)}", missing=sorted(missing)[:3]
            )
        for path, entry in self._expected.items():
            await self._seal.objects.move(self._staged.pop(path), file_key(entry))
        return await self._seal.commit(self)


async def _read(envelope: bytes) -> tuple[dsse.Envelope, Statement]:
    """Read it; one of thousands of files takes a while, and others are served meanwhile."""
    if len(envelope) > SMALL_ENVELOPE:
        return await asyncio.to_thread(_parse, envelope)
    return _parse(envelope)


def _parse(envelope: bytes) -> tuple[dsse.Envelope, Statement]:
    sealed = dsse.loads(envelope)
    return sealed, statement.loads(sealed.payload)


async def _hashed(
    chunks: AsyncIterable[bytes], hasher: dataset.FileHasher, entry: dataset.Entry
) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        hasher.update(chunk)
        if hasher.size > entry.size:
            raise errors.DigestMismatch(
                "There are more bytes than the statement says.",
                path=entry.path,
                expected=entry.size,
            )
        yield chunk


async def _known(rows: ports.EvidenceRows, evidence: ids.EvidenceId) -> Sealed | None:
    """Return the answer given before, None if the evidence is new."""
    try:
        found = await rows.get(evidence)
    except errors.NotFound:
        return None
    return Sealed(found.id, found.dataset_root, new=False)


async def _gap(rows: ports.EvidenceRows, claim: Statement) -> bool:
    """Say whether the statement before this one is missing. Raise SequenceFork if it contradicts."""
    if claim.previous is None:
        return False
    try:
        before = await rows.get(claim.previous)
    except errors.NotFound:
        return True
    if (before.device, before.sequence + 1) != (claim.device, claim.sequence):
        raise errors.SequenceFork(
            "The statement named as previous has another number.",
            found=before.sequence,
            expected=claim.sequence - 1,
        )
    return False


def _row(sealing: Sealing, *, now: datetime) -> Evidence:
    claim = sealing.claim
    return Evidence(
        id=sealing.evidence,
        envelope=sealing.envelope,
        asset=claim.asset,
        detector=claim.detector,
        failure_mode=claim.failure_mode,
        device=claim.device,
        sequence=claim.sequence,
        dataset_root=claim.dataset_root,
        gap=sealing.gap,
        received_at=now,
    )
