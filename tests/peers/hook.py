"""A webhook receiver as a process of its own: it checks signatures, knows ids again, and keeps a log.

python -m tests.peers.hook PORT LOG SECONDS

It answers after SECONDS, so that a sender can be killed in between. LOG has a line for each event that came, before it is answered: {"id", "subject", "type", "again"};
`again` says that the id was known, so it had no effect.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import standardwebhooks
from aiohttp import web

from tests.peers.receiver import SECRET


@dataclass(frozen=True)
class Received:
    """What came, in the order in which it came."""

    lines: list[dict[str, Any]]

    @classmethod
    def read(cls, log: Path) -> Received:
        text = log.read_text("utf-8") if log.exists() else ""
        return cls([json.loads(line) for line in text.splitlines()])

    @property
    def effects(self) -> list[dict[str, Any]]:
        """The events that had an effect: the first of each id."""
        return [line for line in self.lines if not line["again"]]

    @property
    def repeats(self) -> int:
        return len(self.lines) - len(self.effects)


class Hook:
    """Answers; its memory is the log, so it knows again what came before it was killed."""

    def __init__(self, log: Path, seconds: float) -> None:
        self._log, self._seconds = log, seconds
        self._known = {line["id"] for line in Received.read(log).lines}
        self._checker = standardwebhooks.Webhook(SECRET)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._checker.verify(body, dict(request.headers))
        event = json.loads(body)
        line = {name: event[name] for name in ("id", "subject", "type")}
        line["again"] = event["id"] in self._known
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self._known.add(event["id"])
        await asyncio.sleep(self._seconds)
        return web.Response(status=202)


def serve(port: int, log: Path, seconds: float) -> None:
    app = web.Application()
    app.router.add_post("/hook", Hook(log, seconds).take)
    app.router.add_get("/live", _live)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


async def _live(_: web.Request) -> web.Response:
    return web.Response(text="live")


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
