"""`api`: evidence accepted (202: bytes and row durable) per second, against a route that does nothing.

The service's API runs alone (`mol api`), with its database, its object store and a chain to ask
about assets, devices and detectors. Each post is another piece of evidence, signed by its device.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp
from rich.progress import Progress

from edge.evidence import bundle
from edge.evidence.device import Device
from ledger_service.demo import claims as claiming
from ledger_service.demo import plant
from ledger_service.demo.supervisor import Process
from ledger_service.domain import dataset, statement
from ledger_service.domain.statement import Statement
from tests.bench.figures import Against, Result, percentile
from tests.bench.options import Options, fresh
from tests.bench.stack import Plant, answers, plant_of, start_service

SIZES = {"1 kB": (1_000, 800), "1 MB": (1_000_000, 160)}
AT_ONCE = 8
WARM_UP = 16
ACCEPTED = 202
BACKLOG = "\n[seal]\nbacklog = 1000000\n"


@dataclass(frozen=True, slots=True)
class Post:
    """A request that is ready to be sent."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Load:
    """What came of many posts: seconds for all of them, and for each."""

    seconds: float
    each: Sequence[float]

    @property
    def rate(self) -> float:
        return len(self.each) / self.seconds


async def measure(options: Options) -> list[Result]:
    """Measure. Raise NodeBinaryMissing without the chain's program."""
    results: list[Result] = []
    async with plant_of(options, fresh("api"), 1) as running:
        config = running.built.site.config
        text = config.read_text(encoding="utf-8")
        config.write_text(text + BACKLOG, encoding="utf-8")
        await start_service(running, "api")
        bare = await _start_bare(running)
        line = await asyncio.to_thread(_line, running)
        for name, (size, count) in SIZES.items():
            posts = [line.post(size) for _ in range(count + WARM_UP)]
            ours = await _load(options, running.built.base_url, running, posts, name)
            theirs = await _load(options, bare, running, posts, f"{name}, bare route")
            results += _results(name, ours, theirs)
    return results


async def _start_bare(running: Plant) -> str:
    port = plant.free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "tests.bench.bare", str(port)]
    log = running.built.site.logs / "bare.log"
    await running.supervisor.start(Process("bare", argv, log, ready=answers(url)))
    return url


class Line:
    """A device's line of statements, each about other bytes."""

    def __init__(self, device: Device, first: Statement) -> None:
        self._device = device
        self._last = first

    def post(self, size: int) -> Post:
        content = os.urandom(size)
        hasher = dataset.FileHasher()
        hasher.update(content)
        entry = replace(self._last.entries[0], size=size, root=hasher.root())
        claim = replace(
            self._last,
            entries=(entry,),
            dataset_root=dataset.dataset_root([entry]),
            sequence=self._last.sequence + 1,
            previous=statement.evidence_id(self._last.dumps()),
        )
        self._last = claim
        return multipart(self._device.seal(claim.dumps()).dumps(), entry.path, content)


def _line(running: Plant) -> Line:
    """Seal a first statement as any device would, and go on from it."""
    site, claim = running.built.site, running.claims[0]
    packed = claiming.seal(site, claim, datetime.now(UTC))
    with bundle.read(packed.file) as opened:
        return Line(Device(claiming._key(site, claim.asset)), opened.claim)


def multipart(envelope: bytes, path: str, content: bytes) -> Post:
    boundary = secrets.token_hex(16)
    parts = [
        f"--{boundary}\r\nContent-Disposition: form-data; "
        'name="envelope"; filename="envelope.json"\r\n\r\n'.encode(),
        envelope,
        f"\r\n--{boundary}\r\nContent-Disposition: form-data; "
        f'name="file"; filename="{path}"\r\n\r\n'.encode(),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    return Post(b"".join(parts), f"multipart/form-data; boundary={boundary}")


async def _load(
    options: Options, url: str, running: Plant, posts: Sequence[Post], title: str
) -> Load:
    """Send all posts, a few at once, after some to warm up; every one must be accepted."""
    headers = {"Authorization": f"Bearer {running.service('edge').token}"}
    with Progress(console=options.console, transient=True) as bar:
        task = bar.add_task(title, total=len(posts))
        async with aiohttp.ClientSession(url, headers=headers) as session:
            await send_all(session, posts[:WARM_UP], lambda: bar.advance(task))
            return await send_all(session, posts[WARM_UP:], lambda: bar.advance(task))


async def send_all(
    session: aiohttp.ClientSession, posts: Sequence[Post], tell: Callable[[], None]
) -> Load:
    each: list[float] = []
    waiting = iter(posts)

    async def work() -> None:
        for post in waiting:
            kind = {"Content-Type": post.content_type}
            began = time.perf_counter()
            async with session.post("/v1/evidence", data=post.body, headers=kind) as answer:
                assert answer.status == ACCEPTED, await answer.text()
                await answer.read()
            each.append(time.perf_counter() - began)
            tell()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return Load(time.perf_counter() - began, each)


def _results(name: str, ours: Load, theirs: Load) -> list[Result]:
    rival = f"bare route, {AT_ONCE} at once"
    found = [Result(f"accepted, {name}", ours.rate, "1/s", Against(rival, theirs.rate))]
    for percent in (50, 99):
        against = Against(rival, 1000 * percentile(theirs.each, percent))
        value = 1000 * percentile(ours.each, percent)
        found.append(Result(f"accepted, {name}, p{percent}", value, "ms", against))
    return found
