"""How much memory the service takes for a large upload: the peak of its process, as Linux counts it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo.claims import Claim
from tests.bench.data import generate
from tests.bench.figures import Against, Result, Target
from tests.bench.options import Options
from tests.bench.stack import Plant, plant_of, start_service

SMALL_MIB = 64
LIMIT_MIB = 64
KIB_OF_MIB = 1024
FORGET_PEAK = "5"


async def measure(options: Options, folder: Path) -> list[Result]:
    """Measure peak memory of a small and of a large upload to a service that runs."""
    async with plant_of(options, folder, 2) as running:
        await start_service(running, "up")
        pid = running.supervisor.pid("service")
        claims = list(running.claims)
        await _peak_of(running, claims[0], 1, pid)  # what is loaded once is loaded
        small = await _peak_of(running, claims[0], SMALL_MIB, pid)
        large = await _peak_of(running, claims[1], options.mib, pid)
    return [
        Result(
            f"peak memory, {options.mib} MiB streamed",
            large,
            "MiB",
            Against(f"{SMALL_MIB} MiB streamed", small),
        ),
        Result(
            "memory added by the large upload",
            large - small,
            "MiB",
            target=Target(LIMIT_MIB, "at most", "value"),
        ),
    ]


async def _peak_of(running: Plant, claim: Claim, mib: int, pid: int) -> float:
    """Post a dataset with so many MiB of raw data; return the service's peak meanwhile, in MiB."""
    raw = claim.folder / "raw.bin"
    await asyncio.to_thread(generate, raw, mib)
    packed = await asyncio.to_thread(claiming.seal, running.built.site, claim, datetime.now(UTC))
    raw.unlink()
    forget_peak(pid)
    with bundle.read(packed.file) as opened:
        async with running.service("edge").client() as client:
            await send.send(client, opened)
    packed.file.unlink()
    return peak(pid)


def forget_peak(pid: int) -> None:
    """Let the peak begin anew with what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text(FORGET_PEAK, encoding="ascii")


def peak(pid: int) -> float:
    """Return the peak resident memory of a process since it was last forgotten, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / KIB_OF_MIB
