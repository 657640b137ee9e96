from __future__ import annotations

import os

from tests.bench import usage
from tests.bench.rate import Mined, Span, span_of
from tests.bench.throughput import chains
from tests.bench.usage import Look
from tests.unit.services.site import World


def block(number: int, proposed: int, validated: int, full: float = 0.5) -> Mined:
    return Mined(number, 1_000 + number, proposed, validated, full)


def test_a_rate_is_by_the_blocks_own_time_and_begins_with_the_block_before() -> None:
    span = Span(before=1_000, blocks=[block(1, 20, 0), block(2, 20, 20), block(3, 0, 20)])

    assert (span.validated, span.seconds) == (40, 3)
    assert span.rate == 40 / 3
    assert span.full == 0.5


async def test_blocks_before_the_first_proposal_and_behind_the_last_validation_do_not_count() -> (
    None
):
    ledger = World().ledger
    await ledger.mine_many(6)
    blocks = [block(n, proposed=int(n == 2), validated=int(n == 4)) for n in range(1, 7)]

    span = await span_of(ledger, blocks)

    before = await ledger.block(1)
    assert [item.number for item in span.blocks] == [2, 3, 4]
    assert before is not None
    assert span.before == before.time


def test_shares_are_processors_and_what_is_not_ours_is_told() -> None:
    before = Look(10.0, {"api": 1.0, "gone": 5.0}, 100.0)
    after = Look(20.0, {"api": 6.0, "gone": 0.0}, 103.0)

    found = usage.shares(before, after)

    assert (found["api"], found["gone"], found["idle"]) == (0.5, 0.0, 0.3)
    assert found["others"] == max(0.0, len(os.sched_getaffinity(0)) - 0.8)


def test_our_own_process_has_used_processor_time() -> None:
    first = usage.look({"own": os.getpid(), "none": 2**22 + 1})
    sum(number * number for number in range(3_000_000))
    second = usage.look({"own": os.getpid(), "none": 2**22 + 1})

    assert second.spent["own"] > first.spent["own"]
    assert second.spent["none"] == 0


def test_the_published_table_has_fast_blocks_and_the_usual_ones_and_a_period_can_be_chosen() -> (
    None
):
    assert [str(it) for it in chains(None)] == ["10 M gas, 1 s", "10 M gas, 5 s", "30 M gas, 1 s"]
    assert [str(it) for it in chains(15)] == ["10 M gas, 15 s", "30 M gas, 15 s"]
