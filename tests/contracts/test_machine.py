"""The order book that unit tests lean on, held to the published contract: any history, call by call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from eth_hash.auto import keccak
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger_service.domain import calls, errors, facts, ids
from ledger_service.domain.lifecycle import MOVES, Outcome
from ledger_service.domain.order import Content, order_id
from ledger_service.testing.orderbook import NOTHING, Book, Turn
from tests.contracts.plant import DAY, DETECTOR, RATIFY, Plant, add_version, address, registry

KEYS = (
    *(f"verdict {n}" for n in (1, 2, 3)),
    *(f"governance {n}" for n in (1, 3)),
    "builder",
    "stranger",
)
keys = st.sampled_from(KEYS)
seats = st.sampled_from((0, 1, 2, 2, 7))
WAITS = (RATIFY - 2, RATIFY, 2 * DAY, 90 * DAY)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


def answer_of(turn: Turn, call: calls.Call) -> tuple[errors.CallReverted | None, list[facts.Event]]:
    """Return the error of a call, or its events."""
    try:
        return None, turn.run(call)
    except errors.CallReverted as exc:
        return exc, []


class Machine(RuleBasedStateMachine):
    """Few contents, so that calls meet: two pieces of evidence, three attempts, two costs, two builders."""

    plant: Plant

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = self.plant.tester.take_snapshot()
        self.registry, self.book = registry(self.plant.version), Book()
        self.start, self.version = self.plant.now(), self.plant.version
        self.contents: dict[ids.OrderId, Content] = {}

    def teardown(self) -> None:
        self.plant.tester.revert_to_snapshot(self._snapshot)

    def content(self, which: int) -> Content:
        """Return the content that a number picks."""
        evidence, attempt, cost, urgent = which % 2, which // 2 % 3, which // 6 % 2, which // 12 % 2
        content = Content(
            evidence=ids.EvidenceId(keccak(bytes([evidence]))),
            dataset_root=ids.DatasetRoot(bytes(32)),
            order_digest=ids.OrderDigest(bytes(32)),
            asset_version=self.version,
            detector=DETECTOR,
            builder=address("governance 3" if urgent else "builder"),
            cost=cost * 60_000,
            deadline=self.start + 2 * DAY,
            attempt=attempt + 1,
        )
        self.contents[order_id(content, self.plant.domain)] = content
        return content

    def both(self, name: str, call: calls.Call) -> None:
        """Make a call on both and compare what became of it."""
        mined = self.plant.act(name, call)
        book = self.book.copy()
        turn = Turn(self.registry, book, self.plant.domain, address(name), mined.time)
        error, events = answer_of(turn, call)
        assert (mined.error and mined.error.fields) == (error and error.fields), (name, call)
        assert mined.events == events, (name, call)
        if error is not None:
            return
        self._check_moves(book)
        self.book = book

    def _check_moves(self, after: Book) -> None:
        """Every move of the contract stands in the table of the domain; a batch may make several."""
        for order, word in after.words.items():
            was = self.book.words.get(order, NOTHING).status
            steps = MOVES[was] | {end for step in MOVES[was] for end in MOVES[step]}
            assert word.status is was or word.status in steps

    # ---- what may happen

    @rule(
        name=st.sampled_from(("builder", "builder", "stranger")),
        which=st.lists(st.integers(0, 11), min_size=1, max_size=3),
    )
    def propose(self, name: str, which: Sequence[int]) -> None:
        self.both(name, calls.Propose(tuple(self.content(one) for one in which)))

    @rule(number=st.integers(1, 3), which=st.lists(st.integers(0, 23), min_size=1, max_size=3))
    def approve(self, number: int, which: Sequence[int]) -> None:
        many = len(which)
        results = tuple(ids.ResultDigest(bytes([one] * 32)) for one in which)
        contents = tuple(self.content(one) for one in which)
        self.both(f"verdict {number}", calls.Approve(contents, (number - 1,) * many, results))

    @rule(name=keys.filter("builder".__ne__), seat=seats, which=st.integers(0, 23))
    def approve_anywhere(self, name: str, seat: int, which: int) -> None:
        result = ids.ResultDigest(bytes(32))
        self.both(name, calls.Approve((self.content(which),), (seat,), (result,)))

    @rule(which=st.integers(0, 11))
    def agree(self, which: int) -> None:
        """All at once, as a plant at work does."""
        content = self.content(which)
        self.both("builder", calls.Propose((content,)))
        for number in (1, 2, 3):
            result = ids.ResultDigest(bytes(32))
            self.both(f"verdict {number}", calls.Approve((content,), (number - 1,), (result,)))

    @rule(number=st.integers(1, 3), seat=seats, which=st.integers(0, 23))
    def refuse(self, number: int, seat: int, which: int) -> None:
        self.both(f"verdict {number}", calls.Refuse(self.content(which), seat, 7, bytes(32)))

    @rule(name=keys, which=st.integers(0, 23))
    def end(self, name: str, which: int) -> None:
        content = self.content(which)
        for call in (calls.Withdraw(content), calls.Expire(content), calls.Contest(content)):
            self.both(name, call)

    @rule(
        name=st.sampled_from(("governance 3", "governance 3", "governance 1")),
        which=st.integers(0, 23),
    )
    def emergency(self, name: str, which: int) -> None:
        self.both(name, calls.Escalate(self.content(which), bytes(32)))
        self.both(
            name,
            calls.ProposeEmergency(self.content(which | 12 if which < 12 else which), bytes(32)),
        )

    @rule(number=st.integers(1, 3), which=st.integers(0, 23), outcome=st.sampled_from(Outcome))
    def close(self, number: int, which: int, outcome: Outcome) -> None:
        self.both(f"verdict {number}", calls.Cancel(self.content(which), number - 1))
        self.both("verdict 1", calls.Complete(self.content(which), outcome, bytes(32)))

    @rule(wait=st.sampled_from(WAITS))
    def wait(self, wait: int) -> None:
        self.plant.tester.time_travel(self.plant.now() + wait)

    @rule()
    def come_to_the_deadline(self) -> None:
        end = self.start + 2 * DAY
        assume(self.plant.now() < end - 3)
        self.plant.tester.time_travel(end - 2)

    # ---- who belongs changes

    @precondition(lambda self: len(self.registry.members) == 3)
    @rule(sure=st.integers(0, 3))
    def expel_the_third(self, sure: int) -> None:
        assume(sure == 0)
        self.plant.pass_motion("Expel", 3, voters=(1, 2))
        self.registry.members.discard(3)

    @precondition(lambda self: self.registry.detectors[DETECTOR])
    @rule(sure=st.integers(0, 7))
    def revoke_the_detector(self, sure: int) -> None:
        assume(sure == 0)
        self.plant.pass_motion("RevokeDetector", DETECTOR, voters=self._voters())
        self.registry.detectors[DETECTOR] = False

    @precondition(lambda self: len(self.registry.members) == 3)
    @rule(sure=st.integers(0, 3))
    def supersede_the_version(self, sure: int) -> None:
        assume(sure == 0)
        old = self.registry.versions[self.version]
        self.registry.versions[self.version] = replace(
            old, version=replace(old.version, live=False)
        )
        self.version = self.plant.register_version(self.version)
        add_version(self.registry, self.version)

    def _voters(self) -> tuple[int, ...]:
        return tuple(sorted(self.registry.members))

    # ---- what can be read

    @invariant()
    def words_are_the_same(self) -> None:
        for order in self.book.words:
            assert self.plant.word(order) == self.book.words[order]

    @invariant()
    def counters_are_the_same(self) -> None:
        for version, counted in self.book.emergencies.items():
            assert self.plant.emergencies(version) == (
                counted.open_cost,
                counted.open,
                counted.contested_cost,
                counted.contested,
                counted.last_contest,
            )


@pytest.mark.timeout(900)
def test_any_history_is_the_same_on_the_contract_and_in_memory(plant: Plant) -> None:
    Machine.plant = plant
    few = settings(
        max_examples=20,
        stateful_step_count=25,
        deadline=None,
        derandomize=False,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=few)
