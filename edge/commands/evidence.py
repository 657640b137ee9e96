"""`mol evidence`: make, send and follow evidence by hand."""

from __future__ import annotations

import asyncio
import json as json_library
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from edge.detectors import load, robot
from edge.evidence import bundle
from edge.evidence import pack as packing
from edge.evidence import send as sending
from edge.evidence.device import Device, make_key
from edge.evidence.pack import Subject
from ledger_service.domain import errors, ids, key_errors, statement

Json = Annotated[bool, Parameter("--json", negative="", help="Print JSON.")]
ENDS = frozenset(
    {"Validated", "Refused", "Expired", "Withdrawn", "Failed", "Completed", "Cancelled"}
)
POLL_SECONDS = 0.5

app = App(
    name="evidence",
    help="""Make a signed statement over a folder of data, send it, and see where it is.

    Example: `mol evidence key robot-7.pem`, then
    `mol evidence pack data/ --asset 1/robot-7 --input samples.csv --key robot-7.pem -o e.evidence`,
    `mol evidence send e.evidence --token-file edge.token`, `mol evidence watch ID`
    """,
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Remote:
    """The service.

    Parameters
    ----------
    service:
        Its address; default: $MOL_SERVICE, http://127.0.0.1:8600.
    token_file:
        The file that holds the bearer token; default: $MOL_TOKEN_FILE.
    """

    service: str = ""
    token_file: Path | None = None

    def open(self) -> sending.Service:
        """Read the token. Raise ConfigError."""
        file = self.token_file or os.environ.get("MOL_TOKEN_FILE")
        if not file:
            raise errors.ConfigError("Which token? Give --token-file or MOL_TOKEN_FILE.")
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise errors.ConfigError("The token cannot be read.", file=file) from exc
        url = self.service or os.environ.get("MOL_SERVICE", "http://127.0.0.1:8600")
        return sending.Service(url, token)


HERE = Remote()


@app.command
def key(file: Path, *, kind: str = "ed25519") -> None:
    """Make a device key and print its id, which the organisations register (`mol motion`).

    Parameters
    ----------
    kind:
        ed25519 or p256.
    """
    if file.exists():
        raise key_errors.KeyExists(file=file)
    print(make_key(file, kind=kind).id.hex())


@app.command
def pack(
    folder: Path,
    *,
    asset: str,
    key: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    input: str = "samples.csv",  # noqa: A002  the word that users know
    detector: Path | None = None,
    end: datetime | None = None,
    json: Json = False,
) -> None:
    """Hash a folder, run the detector, and seal a statement with the device's key.

    Parameters
    ----------
    folder:
        The dataset: every file below it becomes a subject of the statement.
    asset:
        Name of the machine, `<host>/<name>`.
    key:
        The device's private key (PEM); its sequence is kept beside it.
    output:
        The bundle to write.
    input:
        The file that the detector reads.
    detector:
        Folder with card.json and model.onnx; default: the shipped robot detector.
    end:
        End of the window; default: now.
    """
    _check_asset(asset)
    device, model = Device(key), load(detector or robot.shipped())
    subject = Subject(asset, model, input, end or datetime.now(UTC))
    try:
        claim, evidence = _pack(folder, subject, device, output)
    except OSError as exc:
        raise errors.StorageError(f"The folder cannot be packed: {exc}") from exc
    found = _describe(claim, evidence.hex())
    if json:
        print(json_library.dumps(found, indent=2))
        return
    for name, value in found.items():
        if value is not None:
            print(f"{name:12} {value}")
    if claim.score.value <= claim.threshold.value:
        print("note: the score does not exceed the threshold; the service will not take it")


@app.command
def send(file: Path, *, remote: Remote = HERE, json: Json = False) -> None:
    """Post a bundle; safe to repeat. Prints the evidence id and where to follow it.

    While the service does not answer, it is tried 8 times within about a minute; each pause is told
    on standard error. Ctrl-C stops it, and nothing is lost: send the same bundle again.
    """
    answer = asyncio.run(_send(file, remote.open()))
    if json:
        print(json_library.dumps(answer, indent=2))
    else:
        print(f"evidence   {answer['evidenceId']}\nstate      {answer['state']}")
        print(f"tracker    {answer['links']['tracker']}")


@app.command
def show(evidence: str, *, remote: Remote = HERE, json: Json = False) -> None:
    """Where is my evidence? Every hop, with time, tries and reason."""
    found = asyncio.run(_get(remote.open(), f"/v1/evidence/{evidence}"))
    if json:
        print(json_library.dumps(found, indent=2))
    else:
        _print_journey(found)


@app.command
def watch(evidence: str, *, remote: Remote = HERE) -> int:
    """Follow evidence until its order has settled; exit 1 unless it was validated."""
    return asyncio.run(_watch(remote.open(), evidence))


def _check_asset(asset: str) -> None:
    """Raise ConfigError, before anything is hashed, for what is no machine's name."""
    try:
        ids.asset_id(asset)
    except errors.UnknownField as exc:
        raise errors.ConfigError(f"Wrong use of --asset. {exc.detail}", **exc.fields) from exc


def _pack(
    folder: Path, subject: Subject, device: Device, output: Path
) -> tuple[statement.Statement, ids.EvidenceId]:
    total = sum((folder / path).stat().st_size for path in packing.list_files(folder))
    with _bar() as bar:
        task = bar.add_task("hashing", total=total)
        claim = packing.draft(folder, subject, device, progress=lambda n: bar.advance(task, n))
    evidence, envelope = packing.seal(claim, device)
    bundle.write(output, envelope, folder, claim)
    return claim, evidence


async def _send(file: Path, service: sending.Service) -> dict[str, Any]:
    with bundle.read(file) as opened, _bar() as bar:
        total = sum(entry.size for entry in opened.claim.entries)
        task = bar.add_task("sending", total=total)
        async with service.client() as client:
            return await sending.send(
                client, opened, progress=lambda n: bar.advance(task, n), waiting=_tell
            )


async def _get(service: sending.Service, path: str) -> Any:
    async with service.client() as client:
        return await sending.get(client, path)


async def _watch(service: sending.Service, evidence: str) -> int:
    seen: set[tuple[str, str]] = set()
    async with service.client() as client:
        while True:
            found = await sending.get(client, f"/v1/evidence/{evidence}")
            for hop in found["hops"]:
                line = (hop["name"], hop["detail"])
                if line not in seen:
                    seen.add(line)
                    text = f"{hop['at'][11:23]}  {hop['name']:28} {hop['detail']}"
                    print(text.rstrip(), flush=True)
            if found["state"] in ENDS:
                print(f"{found['state']} {found['reason']}".rstrip())
                return 0 if found["state"] in {"Validated", "Completed"} else 1
            await asyncio.sleep(POLL_SECONDS)


def _describe(claim: statement.Statement, evidence: str) -> dict[str, Any]:
    return {
        "evidenceId": evidence,
        "datasetRoot": claim.dataset_root.hex(),
        "asset": claim.asset,
        "detector": claim.detector.hex(),
        # Of a machine that is well the statement's word is only the largest share of nothing.
        "failureMode": claim.failure_mode if claim.score.value > claim.threshold.value else None,
        "score": str(claim.score.decimal()),
        "threshold": str(claim.threshold.decimal()),
        "files": len(claim.entries),
        "bytes": sum(entry.size for entry in claim.entries),
        "sequence": claim.sequence,
        "device": claim.device.hex(),
    }


def _print_journey(found: dict[str, Any]) -> None:
    console = Console()
    line = f"{found['asset']} {found['failureMode']}: {found['state']} {found['reason']}"
    console.print(line.rstrip(), markup=False)
    table = Table("time", "hop", "tries", "detail")
    for hop in found["hops"]:
        table.add_row(hop["at"][11:23], hop["name"], str(hop["tries"]), hop["detail"])
    console.print(table)
    for order in found["orders"]:
        console.print(f"order {order['orderId']}  {order['status']}  attempt {order['attempt']}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _bar() -> Progress:
    """Return a progress bar on standard error, so that output can be piped; none if nobody looks."""
    console = Console(stderr=True)
    return Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # into a file it would write empty lines
    )
