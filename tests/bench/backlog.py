"""Much evidence, ready to be posted: a few robots, a fault and a recording of its own each time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from edge import simulate
from edge.detectors import robot
from edge.evidence import pack
from edge.evidence.device import Device
from ledger_service.demo import claims as claiming
from ledger_service.demo.claims import SAMPLES, Claim
from ledger_service.demo.site import Site
from tests.bench.api import Post, multipart

ROBOTS = 8
SEED = 50_000


def robots(site: Site) -> list[Claim]:
    """Return a claim of each robot, of which its further ones are made."""
    return list(claiming.simulated(site, ROBOTS + 1, datetime.now(UTC)).claims[:-1])


async def posts(site: Site, claims: Sequence[Claim], count: int, *, seed: int) -> list[Post]:
    """Record, hash, score and seal so many datasets, in turn of the robots; return the requests."""
    return await asyncio.to_thread(lambda: list(_posts(site, claims, count, SEED * seed)))


def _posts(site: Site, claims: Sequence[Claim], count: int, seed: int) -> Iterator[Post]:
    end = datetime.now(UTC)
    start = end - timedelta(minutes=simulate.WINDOW_MINUTES)
    detector = robot.open_shipped()
    folder = site.edge / "line"
    folder.mkdir(parents=True, exist_ok=True)
    devices = [Device(claiming._key(site, claim.asset)) for claim in claims]
    turns = itertools.cycle(zip(claims, devices, strict=True))
    made = 0
    for number in itertools.count(seed):
        if made == count:
            return
        fault = simulate.FAULTS[number % len(simulate.FAULTS)]
        content = simulate.csv_bytes(simulate.record(seed=number, fault=fault), start)
        if detector.run(content).quantised <= detector.card.threshold:
            continue  # a mild one: no device would claim it
        (folder / SAMPLES).write_bytes(content)
        claim, device = next(turns)
        subject = pack.Subject(claim.asset, detector, SAMPLES, end)
        _, envelope = pack.seal(pack.draft(folder, subject, device), device)
        yield multipart(envelope, SAMPLES, content)
        made += 1
