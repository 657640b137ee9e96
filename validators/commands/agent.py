"""`mol agent`: an organisation's agent, and its person in the loop."""

from __future__ import annotations

import asyncio
import getpass
import json as json_library
import logging
import os
import signal
import sys
import threading
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from ledger_service import logs
from ledger_service.domain import errors, ids
from validators import settings as config
from validators.agent.agent import Review
from validators.agent.desk import Decision, Desk
from validators.commands import agent_view as view
from validators.journal import file
from validators.journal.book import ReadBook
from validators.journal.memory import Memory
from validators.rules.case import CannotSay, Refusal, Refused
from validators.settings import AgentSettings

if TYPE_CHECKING:
    from validators.wiring import Parts

FAILED = 1
ANSWER_SECONDS = 15.0
POLL_SECONDS = 0.2
STOP_SECONDS = 1.5

app = App(
    name="agent",
    help="""An organisation's agent: it checks every order itself and says what the organisation says.

    Example: `mol agent --config agent.toml` runs it. Orders that its rules do not decide wait for a person:
    `mol agent pending`, then `mol agent show ORDER`, `mol agent approve ORDER` or
    `mol agent refuse ORDER --reason "the line is stopped anyway"`.
    """,
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Which agent.

    Parameters
    ----------
    config:
        Its agent.toml. Default: $MOL_AGENT_CONFIG, then ./agent.toml.
    json:
        Print JSON.
    """

    config: Path | None = None
    json: Annotated[bool, Parameter(negative="")] = False

    def load(self) -> AgentSettings:
        """Read the settings; from here on only errors are logged."""
        logs.set_up(logging.ERROR)
        return config.load(self.config)


HERE = Options()
Order = Annotated[str, Parameter(help="The order's id, or its first digits if they are enough.")]
Yes = Annotated[bool, Parameter(negative="", help="Do not ask.")]


@app.default
@app.command
def run(*, config_file: Annotated[Path | None, Parameter(name="--config")] = None) -> None:
    """Run the agent until SIGTERM. What it is told to do next is in its journal: kill it if you must."""
    settings = config.load(config_file)
    logs.set_up()
    asyncio.run(_run(settings))
    if any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread()):
        os._exit(0)  # a long run of a detector is under way; nothing waits for its score any more


@app.command
def pending(*, options: Options = HERE) -> None:
    """List the orders, and the ends of work, that wait for a person."""
    view.pending(_memory(options.load()), as_json=options.json)


@app.command
def show(order: Order, *, options: Options = HERE) -> int:
    """Show an order: what the agent said and why; if it waits, everything, checked again here and now."""
    settings = options.load()
    memory = _memory(settings)
    wanted = _find(memory, order)
    fields = view.record(memory, wanted)
    if wanted in memory.pending:
        fields["review"] = _reviewed(settings, wanted)
    view.fields(fields, as_json=options.json)
    return 0


@app.command
def approve(order: Order, *, yes: Yes = False, options: Options = HERE) -> int:
    """Approve a waiting order. Shows what is signed, recomputed from the bytes here, and asks.

    What the rules refuse cannot be approved. Of an order whose work is said to have ended, the end
    is signed: read the report that it names first.
    """
    return _decide(options, order, approve=True, text="", yes=yes)


@app.command
def refuse(order: Order, *, reason: str, yes: Yes = False, options: Options = HERE) -> int:
    """Refuse a waiting order, or to sign the end of its work.

    Parameters
    ----------
    reason:
        Why; it stays in the journal, its SHA-256 goes on chain.
    """
    if not reason.strip():
        raise errors.ConfigError("A refusal needs a reason.")
    return _decide(options, order, approve=False, text=reason, yes=yes)


@app.command
def status(*, options: Options = HERE) -> int:
    """Show what the agent did and what it waits for; exit 1 if something has no effect."""
    settings = options.load()
    memory = _memory(settings)
    view.status(memory, running=file.is_open(settings.home), as_json=options.json)
    return FAILED if memory.failures or memory.stuck else 0


def _open(settings: AgentSettings, *, reading: bool = False) -> AbstractAsyncContextManager[Parts]:
    """Open an agent. What only reads the journal does not wait for a chain client to be imported."""
    from validators.wiring import open_agent  # noqa: PLC0415

    return open_agent(settings, reading=reading)


async def _run(settings: AgentSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _open(settings) as parts:
        running = asyncio.create_task(parts.house.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            running.result()  # an error: settings or chain are not what they must be
        running.cancel()
        await asyncio.wait({running, asyncio.create_task(parts.house.stop())}, timeout=STOP_SECONDS)


def _decide(options: Options, order: str, *, approve: bool, text: str, yes: bool) -> int:
    settings = options.load()
    memory = _memory(settings)
    wanted = _find(memory, order)
    if wanted in memory.to_complete():
        return _decide_end(options, wanted, Decision(approve, text, getpass.getuser()), yes=yes)
    reviewed = _reviewed(settings, wanted)
    view.fields({"order": wanted.hex(), **reviewed}, as_json=options.json)
    if approve and reviewed["possible"] is not True:
        return _complain(f"It cannot be approved: {reviewed['possible']}")
    word = "approve" if approve else "refuse"
    if not yes and not _confirmed(word):
        return _complain("Nothing was signed.")
    decision = Decision(approve, text, getpass.getuser())
    try:
        why = asyncio.run(_hand_over(settings, wanted, decision))
    except (Refused, CannotSay) as exc:
        why = str(exc)
    if why:
        return _complain(why)
    print(f"{word}: signed and sent", file=sys.stderr)
    return 0


def _decide_end(options: Options, order: ids.OrderId, decision: Decision, *, yes: bool) -> int:
    """Lay a decision about the end of an order's work on the agent's desk."""
    settings = options.load()
    view.fields(view.ending(_memory(settings).work[order]), as_json=options.json)
    if not yes and not _confirmed("approve" if decision.approve else "refuse"):
        return _complain("Nothing was signed.")
    Desk(settings.home / "decisions").drop(order, decision)
    when = "now" if file.is_open(settings.home) else "when it runs"
    print(f"it lies on the agent's desk, who takes it up {when}", file=sys.stderr)
    return 0


async def _hand_over(settings: AgentSettings, order: ids.OrderId, decision: Decision) -> str:
    """Let the running agent sign, or sign here if none runs; return why not, if not."""
    if not file.is_open(settings.home):
        async with _open(settings) as parts:
            await parts.pen.ready()
            await parts.agent.decide(order, decision)
            return _outcome(parts.book.memory, order)
    before = ReadBook(settings.home).memory.pending.get(order, {}).get("declined")
    Desk(settings.home / "decisions").drop(order, decision)
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        memory = ReadBook(settings.home).memory
        declined = memory.pending.get(order, {}).get("declined")
        if order not in memory.pending or declined not in {None, before}:
            return declined or _outcome(memory, order)
    return "The agent has not answered yet; the decision lies on its desk."


def _outcome(memory: Memory, order: ids.OrderId) -> str:
    """Return why there is no verdict; nothing if there is one."""
    return "" if order in memory.verdicts else memory.closed.get(order, "It is not signed.")


def _reviewed(settings: AgentSettings, order: ids.OrderId) -> dict[str, Any]:
    """Check a waiting order here and now; return it as it is shown."""

    async def review() -> dict[str, Any]:
        async with _open(settings, reading=True) as parts:
            try:
                return _view(parts, await parts.agent.review(order))
            except (Refused, CannotSay) as exc:
                return {"possible": str(exc)}

    return asyncio.run(review())


def _view(parts: Parts, review: Review) -> dict[str, Any]:
    possible: bool | str = True
    if isinstance(review.ruling, Refusal):
        possible = f"{review.ruling.reason.title}: {review.ruling.text}"
    elif review.doomed is not None:
        possible = str(review.doomed)
    return {
        **view.case(review.case),
        "gap": review.gap,
        "signing key": ids.checksum(parts.pen.address),
        "possible": possible,
    }


def _memory(settings: AgentSettings) -> Memory:
    return ReadBook(settings.home).memory


def _find(memory: Memory, text: str) -> ids.OrderId:
    """Return the one order whose id begins so. Raise NotFound."""
    known = {*memory.verdicts, *memory.pending, *memory.open, *memory.closed, *memory.work}
    found = [order for order in known if order.hex().startswith(text.lower().removeprefix("0x"))]
    if len(found) != 1:
        raise errors.NotFound("No such order, or more than one.", found=text, matches=len(found))
    return found[0]


def _confirmed(word: str) -> bool:
    if not sys.stdin.isatty():
        raise errors.ConfigError("Nobody can be asked here; give --yes.")
    return input(f"Sign this: {word}? [y/N] ").strip().lower() in {"y", "yes"}


def _complain(text: str) -> int:
    print(f"mol: {json_library.dumps(text, ensure_ascii=True)[1:-1]}", file=sys.stderr)
    return FAILED
