"""Single orders are moved by hand, on a chain that runs."""

from __future__ import annotations

import asyncio
import json

import pytest

from ledger_service.domain.calls import Propose
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.order import Content, order_id
from tests.integration.commands.conftest import Desk
from tests.peers.consortium import mined, send


async def propose(desk: Desk, content: Content) -> None:
    ledger = desk.founded.ledger()
    try:
        await mined(ledger, await send(ledger, desk.founded.builder, Propose((content,))))
    finally:
        await ledger.close()


async def status(desk: Desk, content: Content) -> Status:
    ledger = desk.founded.ledger()
    try:
        return (await ledger.word(order_id(content, ledger.orders))).status
    finally:
        await ledger.close()


def test_escalate_makes_an_open_order_an_emergency(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    content = desk.founded.content()
    asyncio.run(propose(desk, content))
    file = desk.folder / "order.json"
    file.write_text(json.dumps(content.as_json()), encoding="utf-8")
    line = "order emergency order.json --reason smoke --keystore"

    assert desk.mol(f"{line} gov-1.json") == 1
    assert "Caller" in capsys.readouterr().err
    assert desk.mol(f"{line} gov-3.json") == 0

    assert "the order is Emergency" in capsys.readouterr().out
    assert asyncio.run(status(desk, content)) is Status.EMERGENCY
