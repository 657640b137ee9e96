"""Commands whose names are fixed and whose capability is not there yet: they say so, and exit 2."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

WRONG_USE = 2
#: Whatever is written after the name, options too: their spelling is not known here yet.
Anything = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]


def _later(name: str, what: str) -> App:
    app = App(name=name, help=f"{what} A later capability: not there yet.")

    @app.default
    def refuse(*_: Anything) -> int:
        """Say that it is not there yet."""
        print(f"mol {name}: a later capability, not there yet. {what}", file=sys.stderr)
        return WRONG_USE

    return app


audit = _later("audit", "Proof packages: build them, verify them offline.")
edge = _later("edge", "The gateway beside the machine: OPC UA, MQTT, spool.")
reconcile = _later("reconcile", "Compare settled orders with what a destination really holds.")
export = _later("export", "The chain-exit kit.")
