"""The statement: what a device seals about one anomaly. Bytes first; they are never re-serialised.

In-toto Statement v1, predicate `anomaly-evidence/v1`; the shape is published as
`schemas/anomaly-evidence-v1.json`. The evidence id is the SHA-256 of exactly these bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError as SchemaError
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator

from ledger_service.domain import canonical, dataset, dsse, errors, ids
from ledger_service.domain.units import Quantity, format_time, parse_time

STATEMENT_V1 = "https://in-toto.io/Statement/v1"
PREDICATE_V1 = "https://maintenance-order-ledger.example/anomaly-evidence/v1"
DIGEST_NAME = "rfc9162-sha256"
MAX_STATEMENT_BYTES = 1024 * 1024
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Runtime:
    """What computed the score: engine, its version, the determinism profile it kept."""

    engine: str
    version: str
    profile: str


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that was scored: [start, end), one sample each `period_seconds`."""

    start: datetime
    end: datetime
    period_seconds: int


@dataclass(frozen=True, slots=True)
class Feature:
    """One named measurement behind the score."""

    name: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as read. `public_key` is SPKI DER; `input_path` names the detector's input."""

    asset: str
    detector: ids.DetectorId
    failure_mode: str
    window: Window
    input_path: str
    score: Quantity
    threshold: Quantity
    features: tuple[Feature, ...]
    public_key: bytes
    sequence: int
    previous: ids.EvidenceId | None
    runtime: Runtime
    entries: tuple[dataset.Entry, ...]
    dataset_root: ids.DatasetRoot

    @property
    def device(self) -> ids.DeviceId:
        """Return the id under which the chain knows the device's key."""
        return ids.device_id(self.public_key)

    def dumps(self) -> bytes:
        """Write the bytes to be sealed (canonical JSON, so that a rewrite would not change them)."""
        return canonical.dumps(_as_json(self))


def evidence_id(statement: bytes) -> ids.EvidenceId:
    """Return the id of a statement: SHA-256 of its bytes."""
    return ids.EvidenceId(hashlib.sha256(statement).digest())


def loads(data: bytes) -> Statement:
    """Read and check statement bytes.

    Raise TooLarge (over 1 MiB), MalformedJson, FloatInHashedPlace, IntegerTooLarge, UnknownField
    (not the published shape), and the errors of `dataset` for its entries; DigestMismatch if the
    dataset root named is not the root of the subjects.
    """
    if len(data) > MAX_STATEMENT_BYTES:
        raise errors.TooLarge(
            "The statement is too long.", found=len(data), expected=f"at most {MAX_STATEMENT_BYTES}"
        )
    fields = canonical.loads(data)
    check_shape(fields)
    return _from_json(fields)


def read_kept(data: bytes) -> Statement:
    """Read bytes that `loads` took when they came and that were kept since: not from elsewhere.

    The published schema is not asked again, which is most of the work. Raise as `loads` does, or
    KeyError, TypeError, ValueError, where the bytes are not what was kept.
    """
    return _from_json(canonical.loads(data))


def check_shape(fields: Any) -> None:
    """Raise UnknownField, with the place, unless `fields` fits the published schema."""
    problem = best_match(islice(_validator().iter_errors(fields), MAX_PROBLEMS))
    if problem is not None:
        raise errors.UnknownField(f"{problem.json_path}: {problem.message[:300]}")


def verify_signature(envelope: dsse.Envelope, statement: Statement) -> None:
    """Check the device's signature under the key that the statement names.

    Whether that key belongs to a device of the asset is the chain's to say. Raise MissingSignature
    or BadSignature.
    """
    if envelope.payload_type != dsse.STATEMENT_TYPE:
        raise errors.UnknownField(
            "Wrong payload type.", found=envelope.payload_type[:80], expected=dsse.STATEMENT_TYPE
        )
    key = dsse.load_public_key(statement.public_key)
    dsse.verify(envelope, key, statement.device.hex())


@cache
def schema() -> dict[str, Any]:
    """Return the published JSON Schema of a statement."""
    text = resources.files("ledger_service.domain").joinpath("schemas/anomaly-evidence-v1.json")
    loaded: dict[str, Any] = json.loads(text.read_text(encoding="utf-8"))
    return loaded


@cache
def _ecma(pattern: str) -> re.Pattern[str]:
    """Compile as ECMA 262 means it: `$` is the end; Python's also matches before a last new line."""
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _pattern(
    _validator: Validator, pattern: str, instance: Any, _schema: Any
) -> Iterator[SchemaError]:
    if isinstance(instance, str) and not _ecma(pattern).search(instance):
        yield SchemaError(f"{instance[:80]!r} does not match {pattern!r}")


@cache
def _validator() -> Validator:
    kind: type[Validator] = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"pattern": _pattern}
    )
    return kind(schema())


def _from_json(fields: dict[str, Any]) -> Statement:
    predicate = fields["predicate"]
    entries = dataset.check_entries(_entry(item) for item in fields["subject"])
    statement = Statement(
        asset=predicate["asset"],
        detector=ids.DetectorId(bytes.fromhex(predicate["detector"])),
        failure_mode=predicate["failureMode"],
        window=_window(predicate["window"]),
        input_path=predicate["input"],
        score=Quantity.from_json(predicate["score"]),
        threshold=Quantity.from_json(predicate["threshold"]),
        features=tuple(Feature(f["name"], Quantity.from_json(f)) for f in predicate["features"]),
        public_key=_public_key(predicate["device"]["publicKey"]),
        sequence=predicate["sequence"],
        previous=_previous(predicate["previous"]),
        runtime=Runtime(**predicate["runtime"]),
        entries=tuple(entries),
        dataset_root=ids.DatasetRoot(bytes.fromhex(predicate["dataset"]["root"])),
    )
    _check_whole(statement)
    return statement


def _check_whole(statement: Statement) -> None:
    found = dataset.dataset_root(statement.entries)
    if found != statement.dataset_root:
        raise errors.DigestMismatch(
            "The dataset root is not the root of the subjects.",
            found=found.hex(),
            expected=statement.dataset_root.hex(),
        )
    if statement.input_path not in {entry.path for entry in statement.entries}:
        raise errors.MissingFile(
            "The detector's input is not a subject.", found=statement.input_path
        )
    if statement.window.end <= statement.window.start:
        raise errors.WindowOutOfRange("The window ends before it starts.")
    if (statement.sequence == 1) != (statement.previous is None):
        raise errors.UnknownField("previous is null exactly where sequence is 1.")


def _window(fields: dict[str, Any]) -> Window:
    return Window(parse_time(fields["start"]), parse_time(fields["end"]), fields["periodSeconds"])


def _previous(text: str | None) -> ids.EvidenceId | None:
    return None if text is None else ids.EvidenceId(bytes.fromhex(text))


def _public_key(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise errors.UnknownField("The public key is not base64.", found=text[:40]) from exc


def _entry(item: dict[str, Any]) -> dataset.Entry:
    return dataset.Entry(
        path=item["name"],
        size=item["annotations"]["size"],
        media_type=item["mediaType"],
        chunk=item["annotations"]["chunk"],
        root=ids.FileRoot(bytes.fromhex(item["digest"][DIGEST_NAME])),
    )


def _as_json(statement: Statement) -> dict[str, Any]:
    window, previous = statement.window, statement.previous
    return {
        "_type": STATEMENT_V1,
        "predicateType": PREDICATE_V1,
        "subject": [_subject(entry) for entry in statement.entries],
        "predicate": {
            "asset": statement.asset,
            "detector": statement.detector.hex(),
            "failureMode": statement.failure_mode,
            "window": {
                "start": format_time(window.start),
                "end": format_time(window.end),
                "periodSeconds": window.period_seconds,
            },
            "input": statement.input_path,
            "score": statement.score.as_json(),
            "threshold": statement.threshold.as_json(),
            "features": [{"name": f.name, **f.quantity.as_json()} for f in statement.features],
            "device": {"publicKey": base64.b64encode(statement.public_key).decode()},
            "sequence": statement.sequence,
            "previous": None if previous is None else previous.hex(),
            "runtime": {
                "engine": statement.runtime.engine,
                "version": statement.runtime.version,
                "profile": statement.runtime.profile,
            },
            "dataset": {"root": statement.dataset_root.hex()},
        },
    }


def _subject(entry: dataset.Entry) -> dict[str, Any]:
    return {
        "name": entry.path,
        "digest": {DIGEST_NAME: entry.root.hex()},
        "mediaType": entry.media_type,
        "annotations": {"size": entry.size, "chunk": entry.chunk},
    }
