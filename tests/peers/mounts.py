"""Small disks: a file system of some megabytes, in memory, that can be filled to the last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PIECE = bytes(64 * 1024)
BALLAST = "ballast"


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system."""

    place: Path

    def fill(self) -> None:
        """Leave no byte."""
        size = len(PIECE)
        with (self.place / BALLAST).open("wb", buffering=0) as file:
            while size:
                try:
                    file.write(PIECE[:size])
                except OSError as exc:
                    if exc.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        """Give the space back."""
        (self.place / BALLAST).unlink()


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one at a new folder; unmount it at the end. Skip where that is not permitted."""
    place.mkdir(parents=True)
    size = f"size={megabytes}m,mode=0755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip() or os.geteuid()}")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
