"""Gas of each call, against the fixed limit that it is sent with: what is left is the headroom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger_service.chain.binding import gas_limit
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner
from ledger_service.domain import calls
from ledger_service.domain.calls import Call
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content
from ledger_service.domain.result import Reason
from tests.bench.figures import Against, Result
from tests.peers.consortium import RESULT, Founded, mined, send

SEATS = (1, 2, 3)
SAFETY = 3


async def do(ledger: ChainLedger, key: LocalSigner, call: Call) -> int:
    """Send, wait, return the gas."""
    receipt = await mined(ledger, await send(ledger, key, call))
    assert receipt.succeeded, call
    return receipt.gas_used


async def approve_all(
    ledger: ChainLedger, founded: Founded, contents: Sequence[Content]
) -> list[int]:
    """Let every seat approve, each in a transaction of its own; return the gas of each."""
    some, spent = tuple(contents), []
    for number in SEATS:
        call = calls.Approve(some, (number - 1,) * len(some), (RESULT,) * len(some))
        spent.append(await do(ledger, founded.verdict(number), call))
    return spent


async def measure(ledger: ChainLedger, founded: Founded) -> list[Result]:
    """Measure the calls that are not in every order's life."""
    safety = founded.organisations[SAFETY - 1].governance
    refused, withdrawn, escalated, done, dropped = (founded.content() for _ in range(5))
    urgent = replace(founded.content(), builder=safety.address)
    for content in (refused, withdrawn, escalated, done, dropped):
        await do(ledger, founded.builder, calls.Propose((content,)))
    for content in (done, dropped):
        await approve_all(ledger, founded, [content])
    reason = int(Reason.OTHER)
    steps: list[tuple[str, LocalSigner, Call]] = [
        ("refuse", founded.verdict(1), calls.Refuse(refused, 0, reason, RESULT)),
        ("withdraw", founded.builder, calls.Withdraw(withdrawn)),
        ("escalate", safety, calls.Escalate(escalated, RESULT)),
        ("propose as emergency", safety, calls.ProposeEmergency(urgent, RESULT)),
        ("complete", founded.verdict(1), calls.Complete(done, Outcome.CURED, RESULT)),
        *((f"cancel, number {n}", founded.verdict(n), calls.Cancel(dropped, n - 1)) for n in SEATS),
    ]
    return [_result(name, call, await do(ledger, key, call)) for name, key, call in steps]


def _result(name: str, call: Call, spent: int) -> Result:
    return Result(name, spent, "gas", Against("its fixed limit", gas_limit(call)))
