"""What the demo's machines claim: simulated robots, or recordings that somebody brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile

from edge import recordings, simulate
from edge.detectors import Detector, robot
from edge.evidence import bundle, pack
from edge.evidence.device import Device, make_key
from edge.recordings import Recording
from ledger_service.demo.plant import Machine
from ledger_service.demo.site import HOST, Site
from ledger_service.domain import errors, ids, profile

SEED = 1_000
SAMPLES = "samples.csv"
LIE = 150_000  #: 1.5, well above the threshold of 1


@dataclass(frozen=True, slots=True)
class Claim:
    """A dataset and what is claimed about it. `lie`: a score that the data does not bear out."""

    title: str
    asset: str
    asset_type: str
    folder: Path
    input_path: str
    detector: Detector
    expected: str = "Validated"
    lie: int | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """A claim sealed by its device, in a bundle."""

    claim: Claim
    evidence: ids.EvidenceId
    score: int
    file: Path


@dataclass(frozen=True, slots=True)
class Gathered:
    """All claims. `quiet`: recordings whose detector did not alarm; `left_out`: no recordings."""

    claims: Sequence[Claim]
    quiet: Sequence[str] = ()
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """Recordings that somebody brought: what alarms, what does not, what is no recording."""

    alarms: Sequence[tuple[Recording, Detector]]
    quiet: Sequence[str]
    left_out: Sequence[str]


def simulated(site: Site, count: int, now: datetime) -> Gathered:
    """Record `count` robots, a fault each; the last one, if it is not the only one, claims falsely.

    Each is a robot of its own: a fault that looks like another would be the same episode twice.
    """
    detector = robot.open_shipped()
    claims = []
    for index in range(count):
        name, honest = f"robot-{index + 1}", index == 0 or index < count - 1
        fault = simulate.FAULTS[index % len(simulate.FAULTS)] if honest else None
        folder = _record(site, name, SEED + index, fault, now)
        claim = Claim(fault or "false claim", _asset(name), "robot", folder, SAMPLES, detector)
        claims.append(claim if honest else replace(claim, expected="Refused", lie=LIE))
    return Gathered(claims)


def judge(source: Path, scratch: Path) -> Judged:
    """Commission detectors for a folder of datasets, and see what alarms; only `scratch` is written.

    Raise NotFound, EmptyDataset, BadSample, ConfigError.
    """
    try:
        from edge.detectors.commission import commission  # noqa: PLC0415  loads scikit-learn
    except ImportError as exc:
        raise errors.ConfigError("Recordings need the extra `training`.", missing=exc.name) from exc

    found = recordings.find(source, scratch)
    alarms: list[tuple[Recording, Detector]] = []
    quiet = [recording.name for recording in found.recordings if recording.nominal]
    for item in commission(found.recordings):
        score = item.detector.run(item.recording.table.read_bytes()).quantised
        if score > item.detector.card.threshold:
            alarms.append((item.recording, item.detector))
        else:
            quiet.append(item.recording.name)
    if not alarms:
        raise errors.EmptyDataset("No recording alarms; there is nothing to order.", quiet=quiet)
    return Judged(alarms, quiet, [f"{name}: {why}" for name, why in found.left_out.items()])


def brought(site: Site, judged: Judged, count: int | None) -> Gathered:
    """Claim what alarmed, at most `count` of it."""
    claims = [_claim(site, recording, detector) for recording, detector in judged.alarms[:count]]
    return Gathered(claims, judged.quiet, judged.left_out)


def machines(site: Site, claims: Sequence[Claim]) -> list[Machine]:
    """Make a device key for each machine; return the machines as they are to be registered."""
    types = {claim.asset: claim.asset_type for claim in claims}
    return [Machine(asset, kind, make_key(_key(site, asset)).id) for asset, kind in types.items()]


def keep_models(site: Site, claims: Sequence[Claim]) -> list[ids.DetectorId]:
    """Put each detector where the agents look for theirs; return the ids."""
    found = {claim.detector.id: claim.detector for claim in claims}
    for name, detector in found.items():
        detector.save(site.models / name.hex())
    return list(found)


def seal(site: Site, claim: Claim, end: datetime) -> Packed:
    """Hash, score and seal one claim by its machine's device; write the bundle."""
    device = Device(_key(site, claim.asset))
    subject = pack.Subject(claim.asset, claim.detector, claim.input_path, end)
    drafted = pack.draft(claim.folder, subject, device)
    if claim.lie is not None:
        drafted = replace(drafted, score=profile.quantity(claim.lie))
    evidence, envelope = pack.seal(drafted, device)
    file = site.edge / "bundles" / f"{evidence.hex()[:16]}.evidence"
    file.parent.mkdir(parents=True, exist_ok=True)
    bundle.write(file, envelope, claim.folder, drafted)
    return Packed(claim, evidence, drafted.score.value, file)


def _claim(site: Site, recording: Recording, detector: Detector) -> Claim:
    folder, path = recording.folder, recording.table.relative_to(recording.folder).as_posix()
    if recording.file is not None:  # a dataset of one file gets a folder of its own
        folder = site.edge / "data" / recordings.slug(recording.name)
        folder.mkdir(parents=True, exist_ok=True)
        copyfile(recording.file, folder / path)
    asset = _asset(recordings.slug(recording.name))
    return Claim(recording.name, asset, detector.card.asset_type, folder, path, detector)


def _record(site: Site, name: str, seed: int, fault: str | None, now: datetime) -> Path:
    folder = site.edge / "data" / name
    folder.mkdir(parents=True, exist_ok=True)
    start = now.astimezone(UTC) - timedelta(minutes=simulate.WINDOW_MINUTES)
    samples = simulate.record(seed=seed, fault=fault)
    (folder / SAMPLES).write_bytes(simulate.csv_bytes(samples, start))
    return folder


def _asset(name: str) -> str:
    return f"{HOST.number}/{name}"


def _key(site: Site, asset: str) -> Path:
    return site.edge / "devices" / f"{asset.replace('/', '-')}.pem"
