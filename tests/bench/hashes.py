"""`hash`: how fast a file's root is made, against OpenSSL's own measure of SHA-256 on all cores.

Both are run in turn, again and again, and the medians are compared: a machine that is busy for a
while slows both. Then the memory of the service: one GiB streamed to it, against 64 MiB.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

from rich.progress import Progress

from ledger_service.domain import dataset, errors
from ledger_service.hashing import cores, hash_file
from tests.bench import memory
from tests.bench.data import generate
from tests.bench.figures import Against, Result, Target, median
from tests.bench.options import Options, fresh

GIGA = 1e9
OPENSSL_SECONDS = 1


async def measure(options: Options) -> list[Result]:
    """Measure. Raise ConfigError without OpenSSL's program."""
    if shutil.which("openssl") is None:
        raise errors.ConfigError("The rival is not there: install openssl.")
    folder = fresh("hash")
    file = folder / "data.bin"
    await asyncio.to_thread(generate, file, options.mib)
    speeds = await asyncio.to_thread(_speed, options, file)
    file.unlink()
    return [speeds, *await memory.measure(options, folder / "plant")]


def _speed(options: Options, file: Path) -> Result:
    threads, ours, theirs = cores(), [], []
    with Progress(console=options.console, transient=True) as bar:
        task = bar.add_task(f"hashing {options.mib} MiB", total=options.repeats)
        hash_file(file)  # the file is in memory, the code is warm
        for _ in range(options.repeats):
            began = time.perf_counter()
            size = hash_file(file).size
            ours.append(size / (time.perf_counter() - began) / GIGA)
            theirs.append(openssl_speed(threads) / GIGA)
            bar.advance(task)
    pairs = ", ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(ours, theirs, strict=True))
    options.say(f"GB/s, ours and OpenSSL's, each time: {pairs}")
    rival = Against(f"openssl speed -multi {threads} sha256, 1 MiB blocks", median(theirs))
    target = Target(0.95, "at least")
    return Result(f"dataset root, {threads} threads", median(ours), "GB/s", rival, target)


def openssl_speed(threads: int) -> float:
    """Return bytes a second that OpenSSL hashes with so many processes.

    By the clock (`-elapsed`), as ours is measured; by default it would count its own CPU time.
    """
    command = ["openssl", "speed", "-elapsed", "-mr", "-seconds", str(OPENSSL_SECONDS)]
    command += ["-bytes", str(dataset.DEFAULT_CHUNK), "-multi", str(threads), "sha256"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    last = done.stdout.strip().splitlines()[-1]
    return float(last.rsplit(":", 1)[-1])
