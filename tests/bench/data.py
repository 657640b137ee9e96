"""Data to hash and to send: random bytes, so that nothing can be clever about them."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 1024 * 1024
WRITE_BYTES = 16 * MIB


def generate(file: Path, mib: int) -> None:
    """Write a file, which then lies in the page cache."""
    with file.open("wb") as target:
        for at in range(0, mib * MIB, WRITE_BYTES):
            target.write(os.urandom(min(WRITE_BYTES, mib * MIB - at)))
