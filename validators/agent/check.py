"""The checks, numbered, in the order in which they are made. Each uses only what is proven so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta

import structlog

from edge.detectors import Detector, Scored
from edge.detectors.samples import MAX_BYTES
from ledger_service import ports
from ledger_service.domain import dsse, errors, ids, order, profile, statement
from ledger_service.domain.dataset import Entry
from ledger_service.domain.facts import Version
from ledger_service.domain.order import OrdersDomain
from ledger_service.domain.result import Reason
from ledger_service.domain.statement import Statement
from ledger_service.domain.units import format_time
from validators.agent.kept import Kept
from validators.agent.registry import Registry
from validators.agent.source import Source, SourceDown
from validators.rerun.models import Models
from validators.rules import document as documents
from validators.rules.case import Announced, CannotSay, Case, Refused, Stated
from validators.rules.document import OrderDocument

FEATURE_STEP = 1
FIRST_SECONDS = 60.0
LEAST_BYTES_PER_SECOND = 64 * 1024

log = structlog.get_logger()


class Checker:
    """Turns an announcement into a case, from bytes and chain alone."""

    def __init__(
        self,
        *,
        domain: OrdersDomain,
        registry: Registry,
        source: Source,
        kept: Kept,
        models: Models,
        clock: ports.Clock,
        dataset_max_bytes: int,
    ) -> None:
        self._domain = domain
        self._registry = registry
        self._source = source
        self.kept = kept
        self._models = models
        self._clock = clock
        self._dataset_max_bytes = dataset_max_bytes

    async def check(self, item: Announced, look: Callable[[Stated], None]) -> Case:
        """Make all checks. Raise Refused (a verdict), CannotSay, ChainError.

        `look` sees the case before a byte of the dataset is fetched, and may raise Refused.
        """
        self.order_id(item)
        claim = self.statement(item)
        live, _ = await asyncio.gather(
            self._registry.detector_live(claim.detector), self._3_signature(item, claim)
        )
        try:
            self._4_asset(await self._registry.version(item.content.asset_version), claim)
            document = check_document(item, claim)
            detector = self._6_detector(claim, document)
            # A clock that is behind must not make new data look like data of the future.
            now = max(self._clock.now(), await self._registry.time())
            stated = Stated(item.order, item.content, claim, document, live, now)
            look(stated)
            await self._7_bytes(item, claim)
            return self._case(stated, detector, await self._8_rerun(detector, claim))
        except Refused as exc:
            exc.claim = claim  # the device did seal it: its number is used
            raise

    async def copy(self, item: Announced) -> None:
        """Fetch and keep the bytes of an order that was approved before. Raise Refused, CannotSay."""
        claim = self.statement(item)
        await self._7_bytes(item, claim)
        await self.kept.keep(item.order)

    def order_id(self, item: Announced) -> None:
        """1. Demand that the id is the content's, in the domain of our chain's contract."""
        try:
            found = order.order_id(item.content, self._domain)
        except errors.UnknownField as exc:  # a number too large for its place
            raise CannotSay(f"Not a content: {exc}", later=False) from exc
        if found != item.order:
            raise CannotSay("The content is not the order's.", later=False)

    def statement(self, item: Announced) -> Statement:
        """2. Read the statement: its digest is the evidence id, and it says what the order says."""
        try:
            payload = dsse.loads(item.envelope).payload
        except errors.InvalidEvidence as exc:
            raise CannotSay(f"The envelope cannot be read: {exc}", later=True) from exc
        if statement.evidence_id(payload) != item.content.evidence:
            raise CannotSay("The envelope is not the order's evidence.", later=True)
        try:
            claim = statement.loads(payload)
        except errors.LedgerError as exc:
            raise Refused(Reason.UNREADABLE, str(exc)) from exc
        if claim.dataset_root != item.content.dataset_root:
            raise Refused(Reason.DIGEST_MISMATCH, "the order names another dataset")
        if claim.detector != item.content.detector:
            raise Refused(Reason.DOCUMENT_MISMATCH, "the order names another detector")
        return claim

    async def _3_signature(self, item: Announced, claim: Statement) -> None:
        """Verify the signature, by a device key that the chain knows for the statement's asset."""
        try:
            statement.verify_signature(dsse.loads(item.envelope), claim)
            asset = ids.asset_id(claim.asset)
        except errors.InvalidEvidence as exc:
            raise Refused(Reason.BAD_SIGNATURE, str(exc)) from exc
        if not await self._registry.device_live(asset, claim.device):
            raise Refused(Reason.BAD_SIGNATURE, "the device is not registered for the asset")

    def _4_asset(self, version: Version | None, claim: Statement) -> None:
        """Demand that the order's asset version is of the statement's asset."""
        if version is None or version.asset != ids.asset_id(claim.asset):
            raise Refused(Reason.WRONG_ASSET, claim.asset)

    def _6_detector(self, claim: Statement, document: OrderDocument) -> Detector:
        """Find our own copy of the detector; statement and document must fit its card."""
        detector = self._models.find(claim.detector)
        if detector is None:
            raise Refused(Reason.DETECTOR_UNFIT, "we hold no such detector")
        if claim.threshold != profile.quantity(detector.card.threshold):
            raise Refused(Reason.DETECTOR_UNFIT, "another threshold than the detector's card")
        if claim.window.period_seconds != detector.card.input.period_seconds:
            raise Refused(Reason.DETECTOR_UNFIT, "another period than the detector's card")
        if claim.failure_mode not in detector.card.failure_modes:
            raise Refused(Reason.DETECTOR_UNFIT, "not a failure mode of the detector")
        if document.asset_type != detector.card.asset_type:
            raise Refused(Reason.DETECTOR_UNFIT, f"not a detector for a {document.asset_type}")
        return detector

    async def _7_bytes(self, item: Announced, claim: Statement) -> None:
        """Fetch what is not kept yet, hashing it while it comes."""
        if sum(entry.size for entry in claim.entries) > self._dataset_max_bytes:
            raise Refused(Reason.UNREADABLE, f"more than {self._dataset_max_bytes} bytes")
        for entry in claim.entries:
            self.kept.use(entry, item.order)
            if self.kept.has(entry) or await self._came_along(item, entry):
                continue
            stream = self._source.file(item.content.evidence, entry.path)
            try:
                async with asyncio.timeout(FIRST_SECONDS + entry.size / LEAST_BYTES_PER_SECOND):
                    await self.kept.take(entry, stream)
            except errors.DigestMismatch as exc:
                raise Refused(Reason.DIGEST_MISMATCH, str(exc)) from exc
            except (errors.NotFound, SourceDown, TimeoutError) as exc:
                raise CannotSay(f"The bytes cannot be had: {exc}", later=True) from exc

    async def _came_along(self, item: Announced, entry: Entry) -> bool:
        """Take a file that the announcement brought; say whether it is the one. Else it is fetched."""
        data = item.files.get(entry.path)
        if data is None:
            return False
        try:
            await self.kept.take(entry, _once(data))
        except errors.DigestMismatch as exc:
            log.warning("not the file", order=item.order.hex(), why=str(exc))
            return False
        return True

    async def _8_rerun(self, detector: Detector, claim: Statement) -> Scored:
        """Run our own copy of the detector on the kept bytes."""
        entry = next(e for e in claim.entries if e.path == claim.input_path)
        if entry.size > MAX_BYTES:
            raise Refused(Reason.UNREADABLE, f"the detector's input has {entry.size} bytes")
        try:
            data = await asyncio.to_thread(self.kept.read, entry)
            return await self._models.run(detector, data)
        except (errors.BadSample, errors.TooLarge) as exc:
            raise Refused(Reason.UNREADABLE, str(exc)) from exc
        except errors.DigestMismatch as exc:
            self.kept.drop(entry)  # our own disk failed us
            raise CannotSay(f"Our own copy is damaged: {exc}", later=True) from exc

    def _case(self, stated: Stated, detector: Detector, scored: Scored) -> Case:
        claim, threshold = stated.claim, detector.card.threshold
        try:
            claimed = profile.of_quantity(claim.score)
        except errors.UnknownField as exc:
            raise Refused(Reason.UNREADABLE, str(exc)) from exc
        return Case(
            order=stated.order,
            content=stated.content,
            claim=claim,
            document=stated.document,
            detector_live=stated.detector_live,
            now=stated.now,
            measured=timedelta(seconds=scored.rows * detector.card.input.period_seconds),
            claimed=claimed,
            recomputed=scored.quantised,
            agreement=profile.classify(claimed, scored.quantised, threshold),
            wrong_features=wrong_features(claim, scored),
            diagnosis=scored.failure_mode,
            runtime="/".join([*detector.engine, detector.card.profile]),
        )


def check_document(item: Announced, claim: Statement) -> OrderDocument:
    """5. Demand that the order document is the order's, and follows from statement and content.

    Raise Refused, naming the first field that does not.
    """
    if order.order_digest(item.document) != item.content.order_digest:
        raise Refused(Reason.DOCUMENT_MISMATCH, "the digest differs")
    try:
        document = documents.loads(item.document)
    except errors.InvalidEvidence as exc:
        raise Refused(Reason.DOCUMENT_MISMATCH, str(exc)) from exc
    window = {"start": format_time(claim.window.start), "end": format_time(claim.window.end)}
    pairs = {
        "evidence": (document.evidence, item.content.evidence.hex()),
        "attempt": (document.attempt, item.content.attempt),
        "asset": (document.asset, claim.asset),
        "failureMode": (document.failure_mode, claim.failure_mode),
        "detector": (document.detector, claim.detector.hex()),
        "score": (document.score, claim.score.as_json()),
        "threshold": (document.threshold, claim.threshold.as_json()),
        "window": (document.window, window),
        "features": (
            list(document.features),
            [{"name": f.name, **f.quantity.as_json()} for f in claim.features],
        ),
        "expectedMinutes": (document.expected_minutes, sum(t.minutes for t in document.tasks)),
        "deadline": (document.deadline, _deadline(item.content.deadline)),
    }
    for name, (found, expected) in pairs.items():
        if found != expected:
            raise Refused(Reason.DOCUMENT_MISMATCH, f"{name}: {str(found)[:80]}")
    return document


def wrong_features(claim: Statement, scored: Scored) -> tuple[str, ...]:
    """Return the names of features that differ from our own by more than a step of rounding.

    A feature that the detector does not compute is the device's own and not judged.
    """
    own = {feature.name: feature.quantity for feature in scored.features}
    wrong = []
    for feature in claim.features:
        mine, theirs = own.get(feature.name), feature.quantity
        if mine is None:
            continue
        same_scale = (mine.exponent, mine.unit) == (theirs.exponent, theirs.unit)
        if not same_scale or abs(mine.value - theirs.value) > FEATURE_STEP:
            wrong.append(feature.name)
    return tuple(wrong)


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _deadline(seconds: int) -> str:
    try:
        return format_time(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return "no such time"
