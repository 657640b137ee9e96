"""Addresses as people and logs may see them: what stands around the host is often a secret."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*://)  # and then a name and a password, the host, all else
    (?:[^\s/?\#'"]*@)? (?P<host>[^\s/?\#'"]*) [^\s'"]*""",
    re.IGNORECASE | re.VERBOSE,
)


def bare(text: str) -> str:
    """Return an address, or text that holds some, with no more of each than scheme, host and port."""
    return _ADDRESS.sub(r"\g<scheme>\g<host>", text)
