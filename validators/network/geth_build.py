"""geth 1.13.15, the last geth that can seal Clique: built once through the Go module proxy, cached.

The linker flag is needed because its memsize dependency refers to a runtime symbol that newer Go
linkers protect. A build takes some minutes and about 1 GB of Go caches; the binary is 43 MB.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ledger_service.domain import errors

VERSION = "1.13.15"
PACKAGE = f"github.com/ethereum/go-ethereum/cmd/geth@v{VERSION}"
LINKER_FLAGS = "-s -w -checklinkname=0"
REPORT_SECONDS = 5.0
_POLL_SECONDS = 0.5

Report = Callable[[str], None]


def cached_geth() -> Path:
    """Return where the built geth lies, or will lie."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "maintenance-order-ledger" / f"geth-{VERSION}" / "geth"


async def ensure_geth(report: Report) -> Path:
    """Return a geth of this version, building it first if it is not there.

    Only one process builds; others wait for it. `report` gets a line now and then with the time
    that has passed. Raise NodeBinaryMissing without Go, or if the build fails.
    """
    target = cached_geth()
    if await _is_fit(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    async with _only_one(target.parent / "lock", report):
        if not await _is_fit(target):
            await _build(target, report)
    return target


async def _build(target: Path, report: Report) -> None:
    if (go := shutil.which("go")) is None:
        raise errors.NodeBinaryMissing(
            f"geth {VERSION} is built from source and Go is not on PATH: install Go >= 1.21,"
            f" or put a geth {VERSION} at the place named.",
            place=target,
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        await _install(go, Path(folder), report)
        built = Path(folder) / "geth"
        if not await _is_fit(built):
            raise errors.NodeBinaryMissing("The build made another geth.", expected=VERSION)
        built.replace(target)


async def _install(go: str, folder: Path, report: Report) -> None:
    started = time.monotonic()
    output = folder / "build.log"
    with output.open("wb") as sink:
        build = await asyncio.create_subprocess_exec(
            *(go, "install", "-ldflags", LINKER_FLAGS, PACKAGE),
            env={**os.environ, "GOBIN": str(folder), "GOFLAGS": ""},
            stdout=sink,
            stderr=sink,
        )
        try:
            while build.returncode is None:
                report(f"building geth {VERSION}, once: {time.monotonic() - started:.0f} s")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(build.wait(), REPORT_SECONDS)
        finally:
            if build.returncode is None:
                build.kill()
                await build.wait()
    if build.returncode:
        lines = output.read_text(errors="replace").splitlines()
        raise errors.NodeBinaryMissing("The build of geth failed:\n" + "\n".join(lines[-15:]))


async def _is_fit(binary: Path) -> bool:
    """Say whether this is a geth of our version."""
    if not os.access(binary, os.X_OK):
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(binary), "version"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    output, _ = await process.communicate()
    return f"Version: {VERSION}-".encode() in output


@contextlib.asynccontextmanager
async def _only_one(path: Path, report: Report) -> AsyncIterator[None]:
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report("another process builds geth, waiting for it")
                await asyncio.sleep(_POLL_SECONDS)
        yield


def main() -> int:
    """Build it now: `python -m validators.network.geth_build`. Return the exit code."""
    try:
        place = asyncio.run(ensure_geth(_tell))
    except errors.NodeBinaryMissing as exc:
        _tell(str(exc))
        return 2
    sys.stdout.write(f"{place}\n")
    return 0


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
