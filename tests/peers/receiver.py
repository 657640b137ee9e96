"""A webhook receiver as one should be: checks the signature, checks the body, knows ids again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import standardwebhooks
from aiohttp import web
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
REQUIRED = {"specversion", "id", "source", "type"}


@dataclass
class Receiver:
    """`answers`: what is said to the next requests, (status, headers); `lose`: how many answers
    are lost after the event was taken."""

    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    lose: int = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(request)
        if self.answers:
            status, headers = self.answers.pop(0)
            return web.Response(status=status, headers=headers, text="as ordered")
        self._check(request, body)
        self.events.setdefault(request.headers["webhook-id"], json.loads(body))
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=202)

    def _check(self, request: web.Request, body: bytes) -> None:
        standardwebhooks.Webhook(SECRET).verify(body, dict(request.headers))
        raw = json.loads(body)
        event = JSONFormat().read(None, body)
        assert isinstance(event, CloudEvent)
        if missing := REQUIRED - raw.keys():
            self.problems.append(f"missing {missing}")
        if request.content_type != "application/cloudevents+json":
            self.problems.append(f"content type {request.content_type}")
        if request.headers["webhook-id"] != event.get_id():
            self.problems.append("the header names another event")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Listen on loopback."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    yield receiver
    await runner.cleanup()
