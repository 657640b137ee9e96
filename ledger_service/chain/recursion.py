"""Python's recursion limit, kept where deep input raises an error.

py_ecc, which web3 and eth_account bring along, lifts the limit to 100,000 when it is imported. The
JSON parser then overruns the stack before it gives up: some 100 kB of opening brackets, from a node
or in the body of a request, would end the process.
"""

from __future__ import annotations

import sys

#: What py-evm needs; at this depth the parser uses a quarter of the usual stack of 8 MiB.
SAFE = 20_000


def keep_safe() -> None:
    """Bring the limit back down. Called by the modules that import such packages, after them."""
    sys.setrecursionlimit(min(sys.getrecursionlimit(), SAFE))
