from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ledger_service import ports
from ledger_service.api.auth import make_token
from ledger_service.api.tokens import KEPT, MOST, Tokens
from ledger_service.domain.records import Role, Token
from ledger_service.testing import FakeClock, MemoryStore


class Counted(MemoryStore):
    """A store that counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.readings = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ports.Transaction]:
        self.readings += 1
        async with super().reading() as rows:
            yield rows


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> Counted:
    return Counted()


async def added(store: Counted, clock: FakeClock) -> Token:
    _, token = make_token(Role.BUYER, "", clock.now())
    async with store.transaction() as rows:
        await rows.tokens.add(token)
    return token


async def revoke(store: Counted, clock: FakeClock, token: Token) -> None:
    async with store.transaction() as rows:
        assert await rows.tokens.revoke(token.id, clock.now())


async def test_a_token_that_lives_is_looked_up_once_a_second(
    store: Counted, clock: FakeClock
) -> None:
    tokens, token = Tokens(store, clock), await added(store, clock)

    for _ in range(5):
        assert await tokens.find(token.digest) == token
    assert store.readings == 1

    clock.advance(seconds=KEPT.total_seconds())
    assert await tokens.find(token.digest) == token
    assert store.readings == 2


async def test_a_revoked_token_is_known_as_such_within_a_second_and_then_never_kept(
    store: Counted, clock: FakeClock
) -> None:
    tokens, token = Tokens(store, clock), await added(store, clock)
    await tokens.find(token.digest)
    await revoke(store, clock, token)

    clock.advance(seconds=KEPT.total_seconds())

    for readings in (2, 3):
        found = await tokens.find(token.digest)
        assert found is not None
        assert found.revoked_at is not None
        assert store.readings == readings


async def test_a_token_that_was_just_made_opens_at_once(store: Counted, clock: FakeClock) -> None:
    tokens = Tokens(store, clock)
    _, token = make_token(Role.BUYER, "", clock.now())
    assert await tokens.find(token.digest) is None

    async with store.transaction() as rows:
        await rows.tokens.add(token)

    assert await tokens.find(token.digest) == token


async def test_a_clock_that_was_set_back_makes_no_token_last_longer(
    store: Counted, clock: FakeClock
) -> None:
    tokens, token = Tokens(store, clock), await added(store, clock)
    await tokens.find(token.digest)
    await revoke(store, clock, token)

    clock.advance(hours=-1)
    found = await tokens.find(token.digest)

    assert found is not None
    assert found.revoked_at is not None


async def test_no_more_tokens_are_known_than_a_fixed_number(
    store: Counted, clock: FakeClock
) -> None:
    tokens = Tokens(store, clock)
    made = [await added(store, clock) for _ in range(MOST + 1)]
    for token in made:
        await tokens.find(token.digest)
    looked = store.readings

    await tokens.find(made[-1].digest)
    assert store.readings == looked

    await tokens.find(made[0].digest)
    assert store.readings == looked + 1
