"""Disks: small ones, in memory, that can be filled to the last byte, and read-only ones."""

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


def _mount(*words: str) -> None:
    """Mount; skip where that is not permitted."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip() or os.geteuid()}")


@contextmanager
def _mounted(place: Path, *words: str) -> Iterator[None]:
    _mount(*words, str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one at a new folder; unmount it at the end. Skip where that is not permitted."""
    place.mkdir(parents=True)
    with _mounted(place, "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs"):
        yield SmallDisk(place)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nobody write into a folder, root neither. Skip where that is not permitted."""
    with _mounted(place, "--bind", str(place)):
        _mount("-o", "remount,bind,ro", str(place))
        yield
