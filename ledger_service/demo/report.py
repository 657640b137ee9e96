"""The end of the story: report.json for machines, a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ledger_service.demo.journeys import Journey, NotAsExpected
from ledger_service.demo.plant import Built
from ledger_service.demo.site import PARTIES, Site
from ledger_service.domain import profile
from validators.network.files import NOT_A_NETWORK, Network

DESTINATIONS = {
    "documents": ("id",),
    "erp": ("kind", "number"),
    "notifications": ("channel",),
    "events": ("id",),
}


def make(network: Network, journeys: Sequence[Journey]) -> dict[str, Any]:
    """Return the report, in the shape that machines rely on."""
    states = [journey.state for journey in journeys]
    finality = (
        "at once"
        if not network.finality_depth
        else f"after {network.finality_depth} further blocks"
    )
    return {
        "chain": {
            "kind": network.kind,
            "chainId": network.chain_id,
            "validators": len(network.validators),
            "blockPeriod": network.block_period,
            "finality": finality,
        },
        "orders": [_order(journey) for journey in journeys],
        "counts": {
            "submitted": len(journeys),
            "validated": states.count("Validated"),
            "refused": states.count("Refused"),
            "failed": states.count("Failed"),
        },
    }


def check_approvals(journeys: Sequence[Journey]) -> None:
    """Raise NotAsExpected unless each validated order has every party's result, in agreement."""
    for journey in journeys:
        if journey.expected != "Validated":
            continue
        approvals = journey.order["approvals"]
        parties = sorted(approval["organisation"] for approval in approvals)
        scores = [approval["score"] for approval in approvals]
        if parties != [party.number for party in PARTIES]:
            raise NotAsExpected("Not approved by all.", found=parties, order=journey.title)
        if not all(profile.agree(journey.claimed, score) for score in scores):
            raise NotAsExpected("The scores disagree.", found=scores, expected=journey.claimed)


def _order(journey: Journey) -> dict[str, Any]:
    tracker, order = journey.tracker, journey.order
    return {
        "evidenceId": journey.evidence,
        "orderId": order.get("orderId"),
        "datasetRoot": tracker["datasetRoot"],
        "asset": tracker["asset"],
        "detector": tracker["detector"],
        "state": journey.state,
        "block": order.get("block"),
        "secondsToValidated": journey.seconds if journey.state == "Validated" else None,
        "reason": tracker["reason"] or None,
        "approvals": [
            {name: approval[name] for name in ("organisation", "resultDigest", "score", "class")}
            for approval in order.get("approvals", [])
        ],
        "destinations": {name: _destination(order, name) for name in DESTINATIONS},
        "proofPackage": None,
    }


def _classes(approvals: Sequence[dict[str, Any]]) -> str:
    counted = Counter(str(approval["class"]) for approval in approvals)
    return ", ".join(f"{count} {name}" for name, count in counted.items())


def _destination(order: dict[str, Any], name: str) -> dict[str, Any] | None:
    own = [item for item in order.get("deliveries", []) if item["destination"] == name]
    if not own:
        return None
    fields = {field: own[-1]["reference"].get(field) for field in DESTINATIONS[name]}
    return {"state": own[-1]["state"], **fields}


def show(console: Console, report: dict[str, Any], journeys: Sequence[Journey]) -> None:
    """Print the orders as a table."""
    table = Table(title="Orders", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("machine", "what", "state", "seconds", "approvals", "purchase order"):
        table.add_column(column, overflow="fold", no_wrap=column == "purchase order")
    for item, journey in zip(report["orders"], journeys, strict=True):
        seconds = item["secondsToValidated"]
        erp = item["destinations"]["erp"] or {}
        colour = "green" if journey.state == "Validated" else "red"
        table.add_row(
            item["asset"],
            journey.title,
            f"[{colour}]{item['state']}[/]",
            f"{seconds:.2f}" if seconds is not None else "",
            _classes(item["approvals"]) or item["reason"],
            str(erp.get("number") or ""),
        )
    console.print(table)


def show_places(console: Console, site: Site, network: Network, report_file: Path) -> None:
    """Print where everything is."""
    folder = site.service
    console.print(f"purchase orders  {folder / 'purchase-orders'}  (UBL 2.1)")
    console.print(f"documents        {folder / 'documents'}")
    console.print(f"notifications    {folder / 'mailbox'}  (Maildir)")
    console.print(f"events           {folder / 'events.jsonl'}  (CloudEvents)")
    console.print("proof packages   a later capability")
    console.print(f"report           {report_file}")
    if network.kind == "embedded":
        console.print(f"[dim]chain: {NOT_A_NETWORK} `make demo CHAIN=clique` runs four nodes.[/]")


def show_logins(console: Console, built: Built) -> None:
    """Print where the running stack is, and one login per role."""
    console.print(
        f"[bold]API {built.base_url}/v1[/], described at /openapi.json; Ctrl-C ends the stack."
    )
    table = Table("role", "bearer token in this file", title="Logins", title_justify="left")
    for file in sorted(built.site.token("operator").parent.iterdir()):
        table.add_row(file.name, str(file))
    console.print(table)
    token = built.site.token("operator")
    console.print("Try it:", style="bold")
    console.print(
        f'curl -H "Authorization: Bearer $(cat {token})" {built.base_url}/v1/orders',
        soft_wrap=True,
        highlight=False,
    )
