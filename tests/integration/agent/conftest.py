from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent.feed import Feed, serving
from tests.integration.agent.plant import AgentFolder, Plant
from tests.peers.consortium import found, settings_of, signer
from tests.peers.embedded import EmbeddedChain

KEY_NAME = "agent verdict 2"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """A chain of its own for each test, so that it may be killed."""
    with EmbeddedChain(tmp_path / "chain") as running:
        yield running


@pytest.fixture
def policy() -> str:
    """What the organisation demands; a test may say otherwise."""
    return "episode_hours = 0"


@pytest.fixture
def plant(tmp_path: Path, chain: EmbeddedChain, policy: str) -> Iterator[Plant]:
    """A plant whose agent is not running yet."""
    founded = asyncio.run(found(settings_of(chain.network, tmp_path), "agent"))
    key = signer(KEY_NAME)
    assert key.address == founded.verdict(2).address
    with serving(Feed()) as feed:
        agent = AgentFolder(tmp_path / "agent", bytes(key._account.key))
        agent.write(chain.network, founded, feed, policy)
        made = Plant(tmp_path, founded, feed, agent)
        asyncio.run(made.found())
        yield made
        if agent.process is not None:
            agent.end(signal.SIGKILL)
