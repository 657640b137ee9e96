"""The service as one object: all verbs with their adapters, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ledger_service import settings as config
from ledger_service.api.parts import Parts
from ledger_service.api.tokens import Tokens
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner, load_keystore
from ledger_service.chain.muster import muster
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.chain.together import TogetherLedger
from ledger_service.clock import SystemClock
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import LONG_SECONDS, SqlStore, make_engine
from ledger_service.domain import errors, jobplan
from ledger_service.domain.jobplan import JobPlans
from ledger_service.services.adopt import Adopt
from ledger_service.services.anchor import Anchor
from ledger_service.services.close import Close
from ledger_service.services.deliveries import ROUTES
from ledger_service.services.due import Due
from ledger_service.services.fetch import Fetch
from ledger_service.services.follow import Follow
from ledger_service.services.inline import Inline
from ledger_service.services.pace import Pace
from ledger_service.services.relay import Relay
from ledger_service.services.seal import Limits, Seal
from ledger_service.services.send import Sender
from ledger_service.services.track import Track
from ledger_service.services.wakes import Wakes
from ledger_service.storage.locations import Locations
from ledger_service.storage.objects import Objects, open_objects
from ledger_service.wiring.destinations import Closable, open_destinations


@dataclass(frozen=True, slots=True)
class Service:
    """All verbs, ready to run."""

    settings: config.Settings
    store: SqlStore
    ledger: ChainLedger
    parts: Parts
    anchor: Anchor
    follow: Follow
    close: Close
    relays: tuple[Relay, ...]
    wakes: Wakes


@asynccontextmanager
async def open_store(settings: config.Settings) -> AsyncIterator[SqlStore]:
    """Open the database, brought to the present schema."""
    making = make_engine(database_url(settings), command_seconds=LONG_SECONDS)
    try:
        await upgrade(making)
    finally:
        await making.dispose()
    store = SqlStore(make_engine(database_url(settings)))
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_service(settings: config.Settings) -> AsyncIterator[Service]:
    """Open everything. Raise ConfigError, StorageError; WrongChain if contracts or chain differ."""
    plans = load_plans(settings.path(settings.orders.job_plans))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        ledger = open_ledger(settings)
        stack.push_async_callback(ledger.close)
        destinations = open_destinations(settings)
        for destination in destinations:
            stack.push_async_callback(destination.close)
        yield _build(settings, store, ledger, plans, destinations)


def open_ledger(settings: config.Settings) -> ChainLedger:
    """Return the chain client that the settings describe. Raise ConfigError."""
    chain = settings.chain
    return TogetherLedger(
        ChainSettings.load(settings.path(chain.network), node=chain.node),
        Deployment.load(settings.path(chain.deployment)),
    )


def load_plans(folder: Path) -> JobPlans:
    """Read every job plan of a folder. Raise BadJobPlan, ConfigError."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise errors.ConfigError("There are no job plans (*.yaml).", found=folder)
    return JobPlans(
        jobplan.loads(file.read_text(encoding="utf-8"), source=str(file)) for file in files
    )


def database_url(settings: config.Settings) -> str:
    """Return the database URL, a relative SQLite file seen from the settings' folder."""
    scheme, _, path = settings.database.url.partition(":///")
    if scheme.startswith("sqlite") and path and not path.startswith("/"):
        return f"{scheme}:///{settings.path(Path(path)).resolve()}"
    return settings.database.url


def _build(
    settings: config.Settings,
    store: SqlStore,
    ledger: ChainLedger,
    plans: JobPlans,
    destinations: tuple[Closable, ...],
) -> Service:
    shared = Shared(settings, store, ledger, plans, SystemClock(), Wakes())
    patience = timedelta(seconds=settings.builder.replace_after_seconds)
    sender = Sender(store, ledger, _signer(settings), shared.clock, patience=patience)
    relays = _relays(shared, destinations)
    follow = _follow(shared, sender, relays)
    anchor = _anchor(shared, sender, follow)
    objects = open_objects(settings.storage.url, root=settings.root)
    close = Close(
        store=store,
        objects=objects,
        ledger=ledger,
        sender=sender,
        clock=shared.clock,
        wakes=shared.wakes,
    )
    parts = _parts(shared, objects, anchor=anchor, follow=follow, close=close)
    return Service(settings, store, ledger, parts, anchor, follow, close, relays, shared.wakes)


@dataclass(frozen=True, slots=True)
class Shared:
    """What many verbs are made of."""

    settings: config.Settings
    store: SqlStore
    ledger: ChainLedger
    plans: JobPlans
    clock: SystemClock
    wakes: Wakes

    @property
    def asset_types(self) -> dict[str, str]:
        """Return asset -> type."""
        return {name: asset.type for name, asset in self.settings.orders.assets.items()}


def _signer(settings: config.Settings) -> LocalSigner:
    builder = settings.builder
    return load_keystore(settings.path(builder.keystore), settings.path(builder.password_file))


def _anchor(shared: Shared, sender: Sender, follow: Follow) -> Anchor:
    adopt = Adopt(
        store=shared.store,
        ledger=shared.ledger,
        builder=sender.address,
        follow=follow,
        clock=shared.clock,
        wakes=shared.wakes,
    )
    return Anchor(
        adopt=adopt,
        store=shared.store,
        ledger=shared.ledger,
        sender=sender,
        plans=shared.plans,
        asset_types=shared.asset_types,
        currency=shared.settings.orders.currency,
        clock=shared.clock,
        wakes=shared.wakes,
    )


def _relays(shared: Shared, destinations: tuple[Closable, ...]) -> tuple[Relay, ...]:
    pace = pace_of(shared.settings.relay)
    due = Due(shared.store, shared.clock, [destination.name for destination in destinations])
    return tuple(
        Relay(
            store=shared.store,
            destination=destination,
            clock=shared.clock,
            wake=shared.wakes.outbox,
            pace=pace,
            due=due,
        )
        for destination in destinations
    )


def _follow(shared: Shared, sender: Sender, relays: tuple[Relay, ...]) -> Follow:
    return Follow(
        store=shared.store,
        ledger=shared.ledger,
        start=shared.ledger.deployment.block,
        builder=sender.address,
        routes={relay.name: ROUTES[relay.name] for relay in relays},
        clock=shared.clock,
        wakes=shared.wakes,
    )


def _seal(shared: Shared, objects: Objects) -> Seal:
    return Seal(
        store=shared.store,
        objects=objects,
        locations=Locations(shared.settings.storage.locations),
        ledger=shared.ledger,
        plans=shared.plans,
        asset_types=shared.asset_types,
        limits=limits_of(shared.settings.seal),
        clock=shared.clock,
        wakes=shared.wakes,
    )


def _parts(
    shared: Shared, objects: Objects, *, anchor: Anchor, follow: Follow, close: Close
) -> Parts:
    async def ready() -> dict[str, int]:
        return {"head": (await shared.ledger.head()).number, "lag": await follow.lag()}

    async def nodes() -> dict[str, object]:
        return (await muster(shared.ledger.settings)).as_json()

    return Parts(
        store=shared.store,
        clock=shared.clock,
        tokens=Tokens(shared.store, shared.clock),
        seal=_seal(shared, objects),
        anchor=anchor,
        track=Track(shared.store),
        fetch=Fetch(shared.store, objects),
        inline=Inline(objects),
        close=close,
        wakes=shared.wakes,
        ready=ready,
        nodes=nodes,
        views=shared.ledger.nodes.views,
        base_url=shared.settings.base_url,
        public_datasets=shared.settings.api.public_datasets,
        public_metrics=shared.settings.api.public_metrics,
    )


def pace_of(relaying: config.Relaying) -> Pace:
    """Return how deliveries are tried."""
    return Pace(
        hands=relaying.hands,
        lease=timedelta(seconds=relaying.lease_seconds),
        answer_seconds=relaying.answer_seconds,
        first_pause=timedelta(seconds=relaying.first_pause_seconds),
        longest_pause=timedelta(hours=relaying.longest_pause_hours),
        failures=relaying.failures,
        longest_silence=timedelta(seconds=relaying.longest_silence_seconds),
    )


def limits_of(sealing: config.Sealing) -> Limits:
    """Return the limits of sealing."""
    return Limits(
        require_signature=sealing.require_signature,
        max_file=sealing.max_file,
        max_total=sealing.max_total,
        backlog=sealing.backlog,
        max_age=timedelta(hours=sealing.max_age_hours),
    )
