"""What the domain's tests share: few examples, the same ones each run, so that the ring stays quick."""

from __future__ import annotations

import hashlib

from hypothesis import settings

from ledger_service.domain import dataset, ids

few = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def root(name: str) -> ids.FileRoot:
    return ids.FileRoot(hashlib.sha256(name.encode()).digest())


def entry(path: str, *, size: int = 3, media_type: str = "text/csv") -> dataset.Entry:
    return dataset.Entry(path, size, media_type, dataset.DEFAULT_CHUNK, root(path))
