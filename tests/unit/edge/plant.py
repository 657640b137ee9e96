"""A robot with a device, and folders of data to seal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from edge.detectors import Detector, robot
from edge.detectors.quality import recording
from edge.evidence import bundle
from edge.evidence.device import Device, make_key
from edge.evidence.pack import Subject, draft, seal
from ledger_service.domain import ids
from ledger_service.domain.statement import Statement

END = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ROBOT = robot.open_shipped()


@dataclass
class Plant:
    """One robot's edge, in a folder."""

    root: Path
    kind: str = "ed25519"
    detector: Detector = field(default_factory=lambda: ROBOT)
    device: Device = field(init=False)
    data: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.device = make_key(self.root / "robot.pem", kind=self.kind)
        self.data = self.root / "data"
        self.data.mkdir()
        (self.data / "samples.csv").write_bytes(recording(1, "dull-tool"))

    @property
    def subject(self) -> Subject:
        return Subject("1/robot-7", self.detector, "samples.csv", END)

    def draft(self) -> Statement:
        return draft(self.data, self.subject, self.device)

    def pack(self, name: str = "e.evidence") -> tuple[Path, ids.EvidenceId]:
        claim = self.draft()
        evidence, envelope = seal(claim, self.device)
        bundle.write(self.root / name, envelope, self.data, claim)
        return self.root / name, evidence
