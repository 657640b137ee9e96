"""`mol detector`: train, score; promotion and registration come later."""

from __future__ import annotations

import json as json_library
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from edge.detectors import load, robot

WRONG_USE = 2
Json = Annotated[bool, Parameter("--json", negative="", help="Print JSON.")]

app = App(
    name="detector",
    help="""Train a detector, or score a file with one.

    Example: `mol detector score samples.csv`
    """,
)


@app.command
def train(output: Path) -> None:
    """Train the robot's detector on the simulator's nominal data (needs the extra `training`)."""
    from edge.detectors.train import save  # noqa: PLC0415  an extra of its own

    made = robot.make()
    save(made, output)
    print(f"{made.id.hex()} written to {output}")


@app.command
def score(file: Path, *, detector: Path | None = None, json: Json = False) -> int:
    """Score a file of samples; exit 1 if it alarms.

    Parameters
    ----------
    detector:
        Folder with card.json and model.onnx; default: the shipped robot detector.
    """
    model = load(detector or robot.shipped())
    scored = model.run(file.read_bytes())
    alarms = scored.quantised > model.card.threshold
    found = {
        "detector": model.id.hex(),
        "score": scored.score,
        "quantised": scored.quantised,
        "threshold": model.card.threshold,
        "alarms": alarms,
        "failureMode": scored.failure_mode if alarms else None,
    }
    if json:
        print(json_library.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:12} {value}")
    return int(alarms)


@app.command
def promote() -> int:
    """Move a detector from trial to service: a later capability."""
    return _later("promote")


@app.command
def register() -> int:
    """Register a detector: a later capability; `mol motion propose AddDetector` does it by hand."""
    return _later("register")


def _later(name: str) -> int:
    text = f"mol detector {name}: a later capability, not there yet."
    print(text, file=sys.stderr)
    return WRONG_USE
