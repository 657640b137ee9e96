"""Every way in which a request to take evidence in can be wrong. `make` writes each to a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.golden import files, framing, order, statements

Maker = Callable[[], dict[str, Any]]


def CASES() -> dict[str, dict[str, Any]]:  # noqa: N802  a constant that is made
    """Return name -> golden file."""
    found: dict[str, dict[str, Any]] = {}
    for module in (statements, files, framing, order):
        for name, maker in module.CASES.items():
            assert name not in found, name
            found[name] = maker()
    return found
