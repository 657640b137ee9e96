"""Files that only their owner may read."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Write a file with mode 0600, from its first byte on.

    It is always a new file: whoever has an old one open, or made a link of that name, reads nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        raise
