"""The orders contract in terms of the domain: calls to calldata, logs to facts, errors to words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from contracts.load import enums, load
from ledger_service.chain.abi import Interface
from ledger_service.domain import calls, errors, facts, ids
from ledger_service.domain.lifecycle import Status, rejected
from ledger_service.domain.order import Content

# Fixed, because eth_estimateGas cannot know in which order proposal and verdicts arrive: the call
# that completes a set costs more. Measured figures are in docs/performance.md; a successor contract
# asks its predecessors (7,000 each). An order of 64 seats fits.
GAS = {
    calls.Propose: (190_000, 140_000),
    calls.Approve: (150_000, 110_000),
    calls.Refuse: (170_000, 0),
    calls.Withdraw: (100_000, 0),
    calls.Expire: (120_000, 0),
    calls.ProposeEmergency: (260_000, 0),
    calls.Escalate: (180_000, 0),
    calls.Contest: (140_000, 0),
    calls.Complete: (140_000, 0),
    calls.Cancel: (180_000, 0),
}


@cache
def orders_interface() -> Interface:
    """Return the orders contract's interface, from the committed artifact."""
    return Interface(load("MaintenanceOrders").abi)


@cache
def consortium_interface() -> Interface:
    """Return the consortium's interface, from the committed artifact."""
    return Interface(load("Consortium").abi)


def gas_limit(call: calls.Call) -> int:
    """Return the gas limit of a call: a first item, and more for each further one."""
    first, further = GAS[type(call)]
    count = len(call.contents) if isinstance(call, calls.Propose | calls.Approve) else 1
    return first + further * (count - 1)


def encode(call: calls.Call) -> bytes:
    """Return the calldata of a call."""
    name, arguments = _named(call)
    return orders_interface().functions[name].encode(*arguments)


def _named(call: calls.Call) -> tuple[str, tuple[Any, ...]]:  # noqa: C901  one line per call
    match call:
        case calls.Propose((content,)):
            return "propose", (content.as_tuple(),)
        case calls.Propose(contents):
            return "proposeBatch", ([content.as_tuple() for content in contents],)
        case calls.Approve((content,), (seat,), (result,)):
            return "approve", (content.as_tuple(), seat, result)
        case calls.Approve(contents, seats, results):
            return "approveBatch", ([c.as_tuple() for c in contents], seats, results)
        case calls.Refuse(content, seat, reason, detail):
            return "refuse", (content.as_tuple(), seat, reason, detail)
        case calls.Complete(content, outcome, close_out):
            return "complete", (content.as_tuple(), int(outcome), close_out)
        case calls.Cancel(content, seat):
            return "cancel", (content.as_tuple(), seat)
        case calls.ProposeEmergency(content, reason):
            return "proposeEmergency", (content.as_tuple(), reason)
        case calls.Escalate(content, reason):
            return "escalate", (content.as_tuple(), reason)
        case calls.Withdraw(content):
            return "withdraw", (content.as_tuple(),)
        case calls.Expire(content):
            return "expire", (content.as_tuple(),)
        case calls.Contest(content):
            return "contest", (content.as_tuple(),)


def event_of(log: Mapping[str, Any]) -> facts.Event | None:
    """Read a log of the orders contract; None for an event that it does not have."""
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    event = orders_interface().events.get(topics[0]) if topics else None
    if event is None:
        return None
    return _event(event.name, event.decode(topics, bytes.fromhex(log["data"][2:])))


def _event(name: str, v: Mapping[str, Any]) -> facts.Event:
    order = ids.OrderId(v["order"])
    match name:
        case "Proposed":
            return facts.Proposed(order, _content(v["content"]))
        case "Approved":
            result = ids.ResultDigest(v["result"])
            return facts.Approved(order, _address(v["key"]), v["organisation"], v["seat"], result)
        case "Refused":
            place = (_address(v["key"]), v["organisation"], v["seat"])
            return facts.Refused(order, *place, v["reason"], v["detail"])
        case "CancellationVoted":
            return facts.CancellationVoted(order, _address(v["key"]), v["organisation"], v["seat"])
        case "Moved":
            return facts.Moved(order, Status(v["status"]), _address(v["by"]), v["detail"])
    return facts.Skipped(order, v["why"], v["found"], v["expected"])


def _content(values: tuple[Any, ...]) -> Content:
    *digests, builder, cost, deadline, attempt = values
    evidence, root, document, version, detector = digests
    return Content(
        evidence=ids.EvidenceId(evidence),
        dataset_root=ids.DatasetRoot(root),
        order_digest=ids.OrderDigest(document),
        asset_version=ids.VersionId(version),
        detector=ids.DetectorId(detector),
        builder=_address(builder),
        cost=cost,
        deadline=deadline,
        attempt=attempt,
    )


def reverted(data: Any) -> errors.CallReverted:
    """Return the error that a revert's data stands for, in words: why, found, expected."""
    raw = _revert_bytes(data)
    for interface in (orders_interface(), consortium_interface()):
        name, fields = interface.explain(raw)
        if name == "Rejected":
            return rejected(enums()["Why"][fields["why"]], fields["found"], fields["expected"])
        if name:
            return errors.CallReverted(
                f"{name}.", why=name, **{k: _show(v) for k, v in fields.items()}
            )
    return errors.CallReverted(why="Unknown", found=raw[:36].hex())


def _revert_bytes(data: Any) -> bytes:
    if isinstance(data, dict):  # some nodes wrap it
        data = data.get("data", "")
    if not isinstance(data, str):
        return b""
    text = data.removeprefix("Reverted ").removeprefix("0x")
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _show(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _address(text: str) -> ids.Address:
    return ids.Address(bytes.fromhex(text[2:]))
