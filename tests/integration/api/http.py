from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI

from ledger_service.api.app import create_app
from ledger_service.api.auth import make_token
from ledger_service.api.parts import Parts
from ledger_service.api.tokens import Tokens
from ledger_service.chain.muster import Muster
from ledger_service.chain.nodes import NodeView
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain.records import Role
from ledger_service.services.seal import Limits
from ledger_service.storage.locations import Locations
from ledger_service.storage.objects import open_objects
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World

BASE = "http://mol.example"
BOUNDARY = "a-boundary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass
class Api:
    """The application in this process, on a real database and a real folder."""

    site: Site
    app: FastAPI
    folder: Path
    tokens: Mapping[Role, str]
    client: httpx.AsyncClient

    @property
    def world(self) -> World:
        return self.site.world

    def auth(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    async def call(
        self, method: str, path: str, role: Role | None = Role.OPERATOR, **options: Any
    ) -> httpx.Response:
        headers = {**(self.auth(role) if role else {}), **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def get(self, path: str, role: Role | None = Role.OPERATOR) -> httpx.Response:
        return await self.call("GET", path, role)

    async def post(self, packed: Packed, role: Role = Role.EDGE) -> httpx.Response:
        body = multipart(packed.envelope, list(packed.files.items()))
        headers = {"Content-Type": MULTIPART}
        return await self.call("POST", "/v1/evidence", role, content=body, headers=headers)

    def stored(self) -> list[str]:
        """Return every file of the object store, hidden and half-written ones too."""
        root = self.folder / "objects"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def multipart(envelope: bytes, files: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a body as gateways make it."""
    parts = [part("envelope", "envelope.json", envelope)]
    parts += [part("file", quote(path), data) for path, data in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def part(name: str, filename: str, data: bytes, more: str = "") -> bytes:
    """Return one part."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"'
    return head.encode("latin-1") + f"{more}\r\n\r\n".encode() + data + b"\r\n"


def inline(packed: Packed) -> dict[str, Any]:
    """Return the plain JSON form."""
    files = [
        {"path": path, "content": base64.b64encode(data).decode()}
        for path, data in packed.files.items()
    ]
    return {"envelope": json.loads(packed.envelope), "files": files}


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    limits: Limits | None = None,
    locations: Sequence[str] = (),
    public: bool = True,
    world: World | None = None,
) -> AsyncIterator[Api]:
    """Open the application with one token for each role."""
    store = await _open_store(folder)
    objects = open_objects(str(folder / "objects"))
    world = world or World(store=store, objects=objects, locations=Locations(locations))
    site = Site(world, limits=limits)
    parts = parts_of(site, public=public)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Parts]:
        yield parts

    app = create_app(opened)
    try:
        tokens = await make_tokens(site)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE
            ) as client,
        ):
            yield Api(site, app, folder, tokens, client)
    finally:
        await store.close()


async def make_tokens(site: Site) -> dict[Role, str]:
    """Store one token for each role; return their texts."""
    made = {
        role: make_token(role, "1" if role is Role.ORGANISATION else "", site.world.clock.now())
        for role in Role
    }
    async with site.world.store.transaction() as rows:
        for _, token in made.values():
            await rows.tokens.add(token)
    return {role: text for role, (text, _) in made.items()}


def parts_of(site: Site, *, public: bool = True) -> Parts:
    """Return what the routers need."""

    async def ready() -> dict[str, int]:
        return {"head": (await site.world.ledger.head()).number, "lag": await site.follow.lag()}

    async def nodes() -> dict[str, object]:
        down = site.world.ledger.down
        one = ("node-1",)
        return Muster(() if down else one, one if down else (), int(down), 1, 1).as_json()

    return Parts(
        store=site.world.store,
        clock=site.world.clock,
        tokens=Tokens(site.world.store, site.world.clock),
        seal=site.seal,
        anchor=site.anchor,
        track=site.track,
        fetch=site.fetch,
        inline=site.inline,
        close=site.close,
        wakes=site.wakes,
        ready=ready,
        nodes=nodes,
        views=lambda: [NodeView("node-1", used=True, head=7, why="behind the others")],
        base_url=BASE,
        public_datasets=public,
        public_metrics=public,
    )


async def _open_store(folder: Path) -> SqlStore:
    engine = make_engine(f"sqlite+aiosqlite:///{folder}/mol.db")
    await upgrade(engine)
    return SqlStore(engine)
