"""`mol detector`: train, score, quality; promotion and registration come later."""

from __future__ import annotations

import json as json_library
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from edge.detectors import load, robot
from edge.detectors.quality import measure
from ledger_service.domain import errors, profile

WRONG_USE = NOT_JUDGED = 2
Json = Annotated[bool, Parameter("--json", negative="", help="Print JSON.")]
#: Whatever is written after the name, options too: their spelling is not known here yet.
Anything = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]

app = App(
    name="detector",
    help="""Train a detector, score a file with one, or measure how good one is.

    Example: `mol detector score samples.csv`, `mol detector quality --runs 200`
    """,
)


@app.command
def train(output: Path) -> None:
    """Train the robot's detector on the simulator's nominal data (needs the extra `training`)."""
    made = robot.make()
    made.save(output)
    print(f"{made.id.hex()} written to {output}")


@app.command
def show(folder: Path | None = None, *, copy_to: Path | None = None, json: Json = False) -> None:
    """Show a detector: its id, as the organisations register it (`mol motion`), and its card.

    Parameters
    ----------
    folder:
        Folder with card.json and model.onnx; default: the shipped robot detector.
    copy_to:
        Also write it there: a folder of its own below the `models` of an agent.
    """
    detector = load(folder or robot.shipped())
    if copy_to is not None:
        detector.save(copy_to)
    fields = {"id": detector.id.hex(), **detector.card.model_dump(by_alias=True, mode="json")}
    if json:
        print(json_library.dumps(fields, indent=2))
        return
    _print_card(fields)


@app.command
def score(file: Path, *, detector: Path | None = None, json: Json = False) -> int:
    """Score a file of samples; exit 1 if it alarms, 2 if it could not be judged.

    Parameters
    ----------
    detector:
        Folder with card.json and model.onnx; default: the shipped robot detector.
    """
    try:
        model = load(detector or robot.shipped())
        scored = model.run(_read(file))
    except errors.LedgerError as exc:
        # Exit 1 says that it alarms, so whoever only asks for the code must not take this for it.
        print(f"mol: {exc.code} {exc}", file=sys.stderr)
        return NOT_JUDGED
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
        told = {
            "detector": model.id.hex(),
            "score": profile.points(scored.quantised),
            "threshold": profile.points(model.card.threshold),
            "alarms": "yes" if alarms else "no",
            **({"failureMode": scored.failure_mode} if alarms else {}),
        }
        for name, value in told.items():
            print(f"{name:12} {value}")
    return int(alarms)


@app.command
def quality(
    *,
    runs: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    detector: Path | None = None,
    json: Json = False,
) -> None:
    """Measure a robot detector on simulated runs: false alarms on nominal ones, each fault detected.

    Parameters
    ----------
    runs:
        Runs of each kind; the same runs each time, none of them used in training.
    detector:
        Folder with card.json and model.onnx; default: the shipped robot detector.
    """
    found = [
        {"kind": q.kind, "runs": q.runs, "alarms": q.alarms, "rate": q.rate, "named": q.named}
        for q in measure(load(detector or robot.shipped()), runs)
    ]
    if json:
        print(json_library.dumps(found, indent=2))
        return
    print(f"{'kind':14} {'runs':>5} {'alarms':>7} {'rate':>7} {'fault named':>12}")
    for row in found:
        named = "-" if row["kind"] == "nominal" else row["named"]
        print(
            f"{row['kind']:14} {row['runs']:>5} {row['alarms']:>7} {row['rate']:>7.1%} {named:>12}"
        )


@app.command
def promote(*_: Anything) -> int:
    """Move a detector from trial to service: a later capability."""
    return _later("promote")


@app.command
def register(*_: Anything) -> int:
    """Register a detector: a later capability; `mol motion propose AddDetector` does it by hand."""
    return _later("register")


def _print_card(fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        match value:
            case dict():
                print(name)
                _print_card({f"  {inner}": item for inner, item in value.items()})
            case list() | tuple():
                print(f"{name:16} {', '.join(map(str, value))}")
            case int() if name == "threshold":
                print(f"{name:16} {profile.points(value)}")
            case _:
                print(f"{name:16} {value}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise errors.NotFound("The file cannot be read.", found=file) from exc


def _later(name: str) -> int:
    text = f"mol detector {name}: a later capability, not there yet."
    print(text, file=sys.stderr)
    return WRONG_USE
