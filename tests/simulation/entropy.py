"""Randomness of the verbs (names of owners, salts, jitter) made a function of the seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let `random`, `uuid` and `secrets` draw from the seed within."""
    source = random.Random(f"entropy {seed}")  # noqa: S311  that is the point
    real, state = os.urandom, random.getstate()
    library = vars(random)
    os.urandom = source.randbytes
    library["_urandom"] = source.randbytes  # what `secrets` draws from
    random.seed(seed)
    try:
        yield
    finally:
        os.urandom = real
        library["_urandom"] = real
        random.setstate(state)
