"""A PostgreSQL cluster of our own: made, started and thrown away; a database for each who asks.

It listens on a socket in its own folder and nowhere else. PostgreSQL does not run as root: root
lends the folder to another user.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

OWNER = "mol"
DURABLE = ("listen_addresses=", "max_connections=200", "deadlock_timeout=200ms")
SETTINGS = (*DURABLE, "fsync=off")


@dataclass(frozen=True)
class PostgresCluster:
    """A running cluster."""

    folder: Path
    programs: Path
    user: str | None = None  #: who runs it, where it is not the one who asks
    settings: Sequence[str] = SETTINGS
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start the server; return when it takes connections."""
        options = " ".join(f'-c "{setting}"' for setting in self.settings)
        start = ("-w", "-l", self.folder / "log", "-o", f"-k {self.folder} {options}", "start")
        self._control(*start)

    def halt(self) -> None:
        """End the server as a crash would: connections break, the log is replayed at the next start."""
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str | Path) -> None:
        program = self.programs / "pg_ctl"
        run(program, "-D", self.data, *words, user=self.user, cwd=self.folder)

    def create(self) -> str:
        """Make an empty database; return its URL."""
        name = f"mol{next(self.numbers)}"
        run(self.programs / "createdb", "-h", self.folder, "-U", OWNER, name)
        return f"postgresql+asyncpg://{OWNER}@/{name}?host={self.folder}"

    def crash(self) -> None:
        """End it in the middle of whatever it does, and start it again."""
        self.halt()
        self.start()


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; the newest of several."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr/local/pgsql").glob("bin")]
    places.sort(key=lambda place: [int(word) for word in place.parts if word.isdigit()])
    found = [place for place in places if (place / "initdb").exists()]
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path and shutil.which("pg_ctl") else None


def run(program: Path, *arguments: str | Path, user: str | None = None, cwd: Path = Path()) -> None:
    """Run one of its programs; what it said is in the failure."""
    command = [str(program), *(str(argument) for argument in arguments)]
    done = subprocess.run(
        command, user=user, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        pytest.fail(f"{program.name}: {done.stdout}{done.stderr}")


@contextmanager
def running_postgres(settings: Sequence[str] = SETTINGS) -> Iterator[PostgresCluster]:
    """Make and start a cluster; throw it away at the end. Skip where PostgreSQL is missing."""
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL is not installed: initdb and pg_ctl are missing")
    # A socket's path is at most 107 bytes, so not under pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="mol-pg-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    cluster = PostgresCluster(folder, place, user, settings)
    try:
        create = ("-D", cluster.data, "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--no-sync")
        run(place / "initdb", *create, user=user, cwd=folder)
        cluster.start()
        try:
            yield cluster
        finally:
            if (cluster.data / "postmaster.pid").exists():
                cluster.halt()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """One cluster for all tests of a run."""
    with running_postgres() as cluster:
        yield cluster
