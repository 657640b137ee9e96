"""`mol`: one command line for all packages. Each command is imported only when it is called.

Exit codes: 0 done, 1 the check or job failed, 2 wrong use (unknown option, bad configuration).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version

from cyclopts import App, CycloptsError

# The fastest keccak that is installed; eth-hash would take the first it finds. See docs/performance.md.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

FAILED = 1
WRONG_USE = 2
GROUP = "mol.commands"

HELP = """Maintenance orders that every responsible organisation checks itself and approves on chain.

Start with `mol demo`; `mol COMMAND --help` explains each command with an example.
"""


def build_app() -> App:
    """Return the command tree; nothing behind it is imported yet."""
    app = App(name="mol", help=HELP, version=version("maintenance-order-ledger"))
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        app.command(point.value, name=point.name)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit code."""
    # Late, because it imports the domain's libraries after the backend above is chosen.
    from ledger_service.domain import errors  # noqa: PLC0415

    try:
        result = build_app()(
            arguments, exit_on_error=False, print_error=True, result_action="return_value"
        )
    except CycloptsError:
        return WRONG_USE
    except errors.ConfigError as exc:
        return _complain(exc, WRONG_USE)
    except errors.LedgerError as exc:
        return _complain(exc, FAILED)
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def main() -> None:
    """Run the command line of this process and exit."""
    sys.exit(run())


def _complain(error: Exception, code: int) -> int:
    kind = getattr(error, "code", "")
    print(f"mol: {kind} {error}".replace("  ", " "), file=sys.stderr)
    return code
