"""Joins the agent to its chain, its service and its folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner, load_keystore
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.chain.together import TogetherLedger
from ledger_service.clock import SystemClock
from ledger_service.domain import errors, ids
from validators.agent.accounts import Accounts
from validators.agent.agent import Agent
from validators.agent.check import Checker
from validators.agent.desk import Desk
from validators.agent.house import House
from validators.agent.kept import Kept
from validators.agent.outcomes import Outcomes
from validators.agent.pace import Pace
from validators.agent.pen import Pen
from validators.agent.registry import Registry
from validators.agent.source import HttpSource
from validators.agent.work import Work
from validators.journal.book import Book, ReadBook
from validators.rerun.models import Models
from validators.settings import AgentSettings, read_token

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything of an agent that holds its journal."""

    agent: Agent
    house: House
    pen: Pen
    book: Book
    models: Models


@asynccontextmanager
async def open_agent(settings: AgentSettings, *, reading: bool = False) -> AsyncIterator[Parts]:
    """Open an agent: its journal, key, node and service; `reading`: beside the one that runs.

    Raise InUse, ConfigError, BadKeystore.
    """
    signer = load_keystore(settings.path(settings.keystore), settings.path(settings.password_file))
    token = read_token(settings)
    async with AsyncExitStack() as stack:
        own, everywhere = _ledgers(settings)
        stack.push_async_callback(own.close)
        stack.push_async_callback(everywhere.close)
        book = ReadBook(settings.home) if reading else Book(settings.home)
        stack.callback(book.close)
        source = HttpSource(settings.service, token)
        stack.push_async_callback(source.close)
        models = Models(settings.path(settings.models))
        stack.callback(models.close)
        kept = Kept(settings.home / "kept", settings.policy.kept_max_bytes)
        if not reading:
            kept.tidy()
        yield _join(settings, _Opened(own, everywhere, signer, book, source, models, kept))


@dataclass(frozen=True, slots=True)
class _Opened:
    """What was opened for an agent, and is closed after it."""

    own: ChainLedger
    everywhere: ChainLedger
    signer: LocalSigner
    book: Book
    source: HttpSource
    models: Models
    kept: Kept


def _join(settings: AgentSettings, opened: _Opened) -> Parts:
    clock, own, book = SystemClock(), opened.own, opened.book
    # Read from the own node alone; handing signed bytes to the others as well trusts nobody
    # and saves a block where gossip is slow.
    send = opened.everywhere.send
    pen, pace = Pen(ledger=own, send=send, signer=opened.signer, book=book, clock=clock), Pace()
    agent = _agent(settings, opened, pen, clock, pace)

    async def prepare() -> None:
        await opened.models.warm_up()
        log.info("detectors", count=len(opened.models))
        await _until_right(own, opened.signer, settings.organisation, clock)

    work = Work(
        organisation=settings.organisation,
        ledger=own,
        source=opened.source,
        pen=pen,
        book=book,
        policy=settings.policy,
        clock=clock,
        folder=settings.home / "close-outs",
    )
    house = House(
        agent=agent,
        accounts=Accounts(organisation=settings.organisation, ledger=own, pen=pen, book=book),
        pen=pen,
        outcomes=Outcomes(ledger=own, pen=pen, book=book, clock=clock, pace=pace),
        ledger=own,
        source=opened.source,
        book=book,
        desk=Desk(settings.home / "decisions"),
        work=work,
        policy=settings.policy,
        clock=clock,
        first_block=own.deployment.block,
        prepare=prepare,
    )
    return Parts(agent, house, pen, book, opened.models)


def _agent(
    settings: AgentSettings, opened: _Opened, pen: Pen, clock: SystemClock, pace: Pace
) -> Agent:
    registry = Registry(opened.own, clock)
    checker = Checker(
        domain=opened.own.orders,
        registry=registry,
        source=opened.source,
        kept=opened.kept,
        models=opened.models,
        clock=clock,
        dataset_max_bytes=settings.policy.dataset_max_bytes,
    )
    return Agent(
        organisation=settings.organisation,
        ledger=opened.own,
        registry=registry,
        checker=checker,
        source=opened.source,
        pen=pen,
        book=opened.book,
        policy=settings.policy,
        clock=clock,
        pace=pace,
    )


def _ledgers(settings: AgentSettings) -> tuple[ChainLedger, ChainLedger]:
    """Return the chain through our own node, and through all of them."""
    network = ChainSettings.load(settings.path(settings.network), node=settings.node)
    deployment = Deployment.load(settings.path(settings.deployment))
    only = network.through(0) if settings.node else network
    return TogetherLedger(only, deployment), ChainLedger(network, deployment)


async def _until_right(
    ledger: ChainLedger, signer: LocalSigner, organisation: int, clock: SystemClock
) -> None:
    """Wait for the node; it may have to catch up before contracts and key are what they should be.

    Raise WrongChain, ConfigError after a minute with a node that answers otherwise.
    """
    wrong = 0.0
    while True:
        try:
            await ledger.check()
            await _check_key(ledger, signer.address, organisation)
        except (errors.WrongChain, errors.ConfigError) as exc:
            wrong += PAUSE_SECONDS
            if wrong > PATIENCE_SECONDS:
                raise
            log.warning("not ready", why=str(exc))
        except errors.ChainError as exc:
            log.warning("the node is away", why=str(exc))
        else:
            return
        await clock.sleep(PAUSE_SECONDS)


async def _check_key(ledger: ChainLedger, key: ids.Address, organisation: int) -> None:
    found = await ledger.organisation_of(key)
    if found != organisation:
        raise errors.ConfigError(
            "The key is not the organisation's current verdict key.",
            key=ids.checksum(key),
            found=found,
            expected=organisation,
        )
