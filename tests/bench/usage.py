"""Which process used the processors: user and system time from /proc, between two looks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
USER, SYSTEM = 13, 14  #: fields of /proc/PID/stat
IDLE = (3, 4)  #: idle and waiting for the disk, in the first line of /proc/stat


@dataclass(frozen=True, slots=True)
class Look:
    """Seconds of processor time by name, and of all processors: spent and idle."""

    at: float
    spent: Mapping[str, float]
    idle: float


def look(pids: Mapping[str, int]) -> Look:
    """Look now. A process that is gone has spent nothing."""
    words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    idle = sum(int(words[at]) for at in IDLE) / TICKS
    return Look(time.monotonic(), {name: _spent(pid) for name, pid in pids.items()}, idle)


def shares(before: Look, after: Look) -> dict[str, float]:
    """Return processors in use by name (1.0 is one of them busy), `idle` and `others` among them."""
    seconds = after.at - before.at
    found = {
        name: max(0.0, spent - before.spent.get(name, 0.0)) / seconds
        for name, spent in after.spent.items()
    }
    found["idle"] = (after.idle - before.idle) / seconds
    found["others"] = max(0.0, len(os.sched_getaffinity(0)) - sum(found.values()))
    return found


def _spent(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()  # the name before may hold blanks
    return (int(fields[USER - 2]) + int(fields[SYSTEM - 2])) / TICKS
