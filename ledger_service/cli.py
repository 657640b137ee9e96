"""`mol`: one command line for all packages. Each command is imported only when it is called.

Exit codes: 0 done, 1 the check or job failed, 2 wrong use (unknown option, bad configuration).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version

from cyclopts import App, CycloptsError, Group

# The fastest keccak that is installed; eth-hash would take the first it finds. See docs/performance.md.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

FAILED = 1
WRONG_USE = 2
GROUP = "mol.commands"

HELP = """Maintenance orders that every responsible organisation checks itself and approves on chain.

Start with `mol demo`; `mol COMMAND --help` explains each command with an example.
"""

#: Command -> the first sentence of its help, said without importing it. A test compares them.
SUMMARIES = {
    "agent": "An organisation's agent: it checks every order itself and says what the organisation says.",
    "anchor": "Run the anchor alone, or look at the transactions it sends and help them on.",
    "api": "Run the HTTP API alone.",
    "audit": "Proof packages: build them, verify them offline.",
    "backup": "A consistent copy of database and objects.",
    "config": "Explain the settings: mol.toml and MOL_* in the environment, which wins.",
    "contracts": "Compile, deploy and verify the contracts.",
    "demo": "Run the whole journey on this machine, from nothing: machines' data in, orders out.",
    "detector": "Train a detector, score a file with one, or measure how good one is.",
    "doctor": "Examine the whole service: what is wrong, and what to do about it.",
    "edge": "The gateway beside the machine: OPC UA, MQTT, spool.",
    "evidence": "Make a signed statement over a folder of data, send it, and see where it is.",
    "export": "The chain-exit kit.",
    "follow": "Run the watcher alone: final blocks in, deliveries out.",
    "key": "Make keys that sign on chain, and replace them: verdict, governance, recovery, builder.",
    "motion": "Propose and approve motions: members, asset versions, detectors, devices, builders.",
    "network": "Make, start, stop and examine a network of nodes on this machine.",
    "order": "Look at orders, and move single ones by hand.",
    "reconcile": "Compare settled orders with what a destination really holds.",
    "relay": "Run the relays alone, or look at the outbox and help it on.",
    "restore": "Bring a backup back.",
    "simulate": "Write a recording of a simulated machining robot, nominal or with a fault.",
    "token": "Create, list and revoke bearer tokens of the API.",
    "up": "Run every long-running part of the service in this process, until SIGTERM.",
}
#: Of these only the names are fixed: they say so and exit 2.
LATER = frozenset({"audit", "edge", "export", "reconcile"})
LATER_GROUP = Group("Later capabilities, not there yet", sort_key=1)


def build_app(*, listed: bool = False) -> App:
    """Return the command tree; nothing behind it is imported yet.

    `listed`: to be shown as a list, each command with its summary. It would take the place of the
    command's own help.
    """
    app = App(name="mol", help=HELP, version=version("maintenance-order-ledger"))
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        summary = SUMMARIES.get(point.name) if listed else None
        group = LATER_GROUP if point.name in LATER else None
        app.command(point.value, name=point.name, help=summary, group=group)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit code."""
    # Late, because it imports the domain's libraries after the backend above is chosen.
    from ledger_service.domain import errors  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = build_app(listed=not any(word in SUMMARIES for word in words))(
            words, exit_on_error=False, print_error=True, result_action="return_value"
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
