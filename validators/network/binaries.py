"""Finding the program of a QBFT node, and refusing one that is not fit."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

from ledger_service.domain import errors
from validators.network.files import Software

#: Older ones drop transactions of senders without ether, or stall after lost rounds.
BESU_LEAST = (26, 8)
VERSION_SECONDS = 60.0
HOW_TO_GET = (
    "A QBFT network needs Besu 26.8 or newer (Java 25): download a release of besu-eth/besu, or use"
    " its container image by docker-compose.yml; then put `besu` on PATH, set MOL_BESU, or give"
    " --node. GoQuorum works likewise by MOL_GOQUORUM. Without either: --kind clique or embedded."
)
_BESU = re.compile(r"besu/v(\d+)\.(\d+)")
_QUORUM = re.compile(r"Quorum Version: (\S+)")


async def find_qbft(given: str | None) -> tuple[Software, str]:
    """Return which software and where: `given`, MOL_BESU, `besu` on PATH, MOL_GOQUORUM.

    Raise NodeBinaryMissing if there is none, or if it is not a version that is fit.
    """
    wanted = given or os.environ.get("MOL_BESU") or shutil.which("besu")
    wanted = wanted or os.environ.get("MOL_GOQUORUM")
    if not wanted:
        raise errors.NodeBinaryMissing(HOW_TO_GET)
    binary = shutil.which(wanted)
    if binary is None:
        raise errors.NodeBinaryMissing("It is not a program that can be run.", found=wanted)
    # Not resolved: Besu finds its jars by the link it is called through.
    return await _recognise(binary), str(Path.cwd() / binary)


async def _recognise(binary: str) -> Software:
    besu = await _output(binary, "--version")
    if found := _BESU.search(besu):
        version = (int(found[1]), int(found[2]))
        if version < BESU_LEAST:
            text = ".".join(map(str, version))
            raise errors.NodeBinaryMissing("This Besu is too old.", found=text, expected=">= 26.8")
        return "besu"
    if _QUORUM.search(await _output(binary, "version")):
        return "goquorum"
    said = besu.strip()[-200:] or "nothing"
    raise errors.NodeBinaryMissing("It is neither Besu nor GoQuorum.", file=binary, said=said)


async def _output(binary: str, argument: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(binary, argument),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), VERSION_SECONDS)
    except TimeoutError as exc:
        process.kill()
        await process.wait()
        raise errors.NodeBinaryMissing("It does not say its version.", file=binary) from exc
    return output.decode(errors="replace")
