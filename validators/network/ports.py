"""Free loopback ports that stay a node's own, also over restarts."""

from __future__ import annotations

import contextlib
import random
import socket

from ledger_service.domain import errors

# Below the range that systems give to outgoing connections, so that none takes a stopped node's port.
FIRST, LAST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Return distinct ports that nobody listens on now. Raise NodeFailed if there are too few."""
    candidates = random.sample(range(FIRST, LAST), LAST - FIRST)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            return found
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
    raise errors.NodeFailed("Too few free ports.", wanted=count, found=len(found))
