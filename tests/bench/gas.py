"""`gas`: what the chain charges for an order, on a real node, against what others charge.

The rivals were measured once with the same compiler settings, three parties and one stored order:
a Safe 1.4.1 whose three owners approve on chain and one of them executes, and an OpenZeppelin 5.7
Governor with a timelock, three voters. Gas is counted by rules, so a repeated run gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger_service.chain import consortium
from ledger_service.chain.binding import GAS
from ledger_service.chain.client import ChainLedger
from ledger_service.domain import calls, ids
from ledger_service.domain.calls import Call
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content, order_id
from tests.bench import gas_calls
from tests.bench.figures import Against, Result, Target
from tests.bench.gas_calls import approve_all, do
from tests.bench.options import Options, fresh
from tests.bench.stack import network_of
from tests.peers.consortium import Founded, accounts, found, signer

SAFE = Against("Safe 1.4.1, three approveHash and execution", 265_606)
GOVERNOR = Against("Governor 5.7 with timelock, three votes", 537_791)
BATCH = 20
SINGLE_LIMIT, BATCH_LIMIT, SUCCESSOR_LIMIT = 240_000, 125_000, 7_000
CLAN = "bench"


@dataclass(frozen=True, slots=True)
class Spent:
    """Gas of one order, or of one batch."""

    propose: int
    approvals: tuple[int, ...]

    @property
    def all(self) -> int:
        return self.propose + sum(self.approvals)


async def measure(options: Options) -> list[Result]:
    """Measure. Raise NodeBinaryMissing without the chain's program."""
    funder = signer(f"{CLAN} funder")
    folder = fresh("gas") / "chain"
    fund = [ids.checksum(funder.address).lower()]
    async with network_of(options, options.chain, folder, fund=fund) as settings:
        founded = await found(settings, CLAN, funder=funder)
        options.say("contracts deployed; proposing and approving")
        ledger = founded.ledger()
        try:
            await _spend(ledger, founded, [founded.content()])  # keys and version used before
            single = await _spend(ledger, founded, [founded.content()])
            batch = await _spend(ledger, founded, [founded.content() for _ in range(BATCH)])
            others = await gas_calls.measure(ledger, founded)
        finally:
            await ledger.close()
        after = await _on_successor(founded)
    return [*_results(single, batch, after), *others]


async def _spend(ledger: ChainLedger, founded: Founded, contents: Sequence[Content]) -> Spent:
    """Propose and approve three times, each in a transaction of its own; return what it cost."""
    some = tuple(contents)
    proposed = await do(ledger, founded.builder, calls.Propose(some))
    approvals = await approve_all(ledger, founded, some)
    words: list[OrderWord] = [await ledger.word(order_id(c, ledger.orders)) for c in some]
    assert all(word.status is Status.VALIDATED for word in words), words
    return Spent(proposed, tuple(approvals))


async def _on_successor(founded: Founded) -> Spent:
    """Deploy an orders contract that asks the first one; return the gas of an order on it."""
    deployment = founded.deployment
    deployer = signer(f"{CLAN} deployer")
    async with accounts(founded.settings, [deployer, *founded.governors()]) as (account, *voters):
        code = consortium.orders_code(deployment.consortium, deployment.orders, deployment.genesis)
        address = consortium.created_at(account.signer.address, await account.nonce())
        await account.do(None, code)
        listing = consortium.motion("ListOrders", ids.checksum(address))
        await consortium.pass_all(deployment.consortium, [listing], voters)
    second = replace(founded, deployment=replace(deployment, orders=address))
    ledger = second.ledger()
    try:
        await _spend(ledger, second, [second.content()])
        return await _spend(ledger, second, [second.content()])
    finally:
        await ledger.close()


def _results(single: Spent, batch: Spent, after: Spent) -> list[Result]:
    per_order = batch.all / BATCH
    one = Target(SINGLE_LIMIT, "at most", "value")
    many = Target(BATCH_LIMIT, "at most", "value")
    more = Target(SUCCESSOR_LIMIT, "at most", "value")
    return [
        Result("propose", single.propose, "gas", _limit(calls.Propose)),
        *(
            Result(f"approve, number {n}", gas, "gas", _limit(calls.Approve))
            for n, gas in enumerate(single.approvals, 1)
        ),
        Result("propose + 3 approvals", single.all, "gas", SAFE, one),
        Result("propose + 3 approvals", single.all, "gas", GOVERNOR),
        Result(f"an order in batches of {BATCH}", per_order, "gas", SAFE, many),
        Result(f"an order in batches of {BATCH}", per_order, "gas", GOVERNOR),
        Result("more on a successor contract", after.all - single.all, "gas", target=more),
    ]


def _limit(kind: type[Call]) -> Against:
    return Against("its fixed limit", GAS[kind][0])
