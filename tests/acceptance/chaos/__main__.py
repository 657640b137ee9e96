"""Long runs of kills, recorded: what docs/reliability.md is made of.

python -m tests.acceptance.chaos --runs 5 --store sqlite
python -m tests.acceptance.chaos --runs 5 --store postgres --chain clique --record runs.jsonl

Each run prints its seed; `--seed` repeats one. Exit 1 if anything was lost, doubled or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from ledger_service.domain import errors
from tests.acceptance.chaos import kills
from tests.acceptance.chaos.verdict import Verdict
from tests.peers.postgres import running_postgres


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.chaos")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--chain", choices=("embedded", "clique", "qbft"), default="embedded")
    parser.add_argument("--workers", type=int, default=3, help="processes of each part")
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--freezes", type=int, default=0, help="SIGSTOP for some seconds")
    parser.add_argument("--seconds", type=float, default=60.0, help="in which they fall")
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count up")
    parser.add_argument("--record", type=Path, help="a JSON line per run is added to this file")
    return parser.parse_args()


def one(wanted: argparse.Namespace, seed: int) -> Verdict:
    """Do one run in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mol-chaos-") as folder, database(wanted.store) as url:
        shape = kills.shape(wanted.chain, url, wanted.workers, wanted.orders)
        rng = random.Random(seed)  # noqa: S311  repeatable, no secret
        return asyncio.run(
            kills.run(
                Path(folder),
                shape,
                rng,
                kills=wanted.kills,
                freezes=wanted.freezes,
                seconds=wanted.seconds,
                report=lambda line: said(f"  {line}"),
            )
        )


@contextlib.contextmanager
def database(store: str) -> Iterator[str]:
    """Return the URL of an empty database; nothing for the plant's own SQLite file."""
    if store == "sqlite":
        yield ""
        return
    with running_postgres() as cluster:
        yield cluster.create()


def main() -> int:
    wanted = parsed()
    first = secrets.randbelow(10**9) if wanted.seed is None else wanted.seed
    clean = True
    for seed in range(first, first + wanted.runs):
        said(f"{wanted.store}, {wanted.chain}, seed {seed}")
        started = time.monotonic()
        try:
            verdict = one(wanted, seed)
        except (pytest.fail.Exception, errors.LedgerError) as exc:
            verdict = Verdict(lost=[str(exc)])
        clean = clean and verdict.clean
        line = {
            "store": wanted.store,
            "chain": wanted.chain,
            "workers": wanted.workers,
            "seed": seed,
            **asdict(verdict),
            "seconds": round(time.monotonic() - started),
        }
        said(f"  {json.dumps(line)}")
        if wanted.record:
            with wanted.record.open("a", encoding="utf-8") as record:
                record.write(json.dumps(line) + "\n")
    return 0 if clean else 1


def said(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
