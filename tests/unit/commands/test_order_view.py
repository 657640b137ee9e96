from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.commands import order_view as view
from ledger_service.commands.given import digits_of, find_order
from ledger_service.domain import errors, ids
from tests.unit.services.site import Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


async def test_money_and_scores_are_told_in_their_units_and_data_stay_as_they_are(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    order = await site.validate(site.world.gateway.pack())
    found = view.whole(await site.track.order(order.id))
    listed = view.summary(order)

    view.print_order({**found, "approvals": [{"organisation": 1, "class": None, "score": 644_914}]})
    view.print_list([listed])
    shown = capsys.readouterr().out

    assert (listed["cost"], listed["currency"]) == (23_800, "EUR")
    assert "cost      238.00 EUR, deadline " in shown
    assert "6.44914" in shown
    assert "23800" not in shown


async def test_ids_in_the_list_are_whole_words_that_the_other_commands_take(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    order = await site.validate(site.world.gateway.pack())
    near = replace(order, id=ids.OrderId(order.id[:7] + bytes(25)), reason="Seat " * 20)

    view.print_list([view.summary(order), view.summary(near)])
    words = capsys.readouterr().out.replace("│", " ").split()

    assert order.id.hex()[:15] in words or order.id.hex()[:16] in words
    view.print_list([view.summary(order)])
    assert (short := order.id.hex()[:12]) in capsys.readouterr().out.replace("│", " ").split()
    assert await find_order(site.world.store, digits_of(short)) == order.id


async def test_what_begins_no_id_or_no_single_one_is_not_taken_for_any(site: Site) -> None:
    order = await site.validate(site.world.gateway.pack())

    with pytest.raises(errors.NotFound, match=r"No order's id begins so\."):
        await find_order(site.world.store, f"{int(order.id.hex(), 16) ^ 1:064x}")
    with pytest.raises(errors.ConfigError, match="64 lower-case hex digits"):
        digits_of("")
    await site.validate(site.world.gateway.pack())
    with pytest.raises(errors.NotFound, match=r"More than one"):
        await find_order(site.world.store, "")


async def test_hashes_can_be_copied_and_references_are_names_and_values(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    order = await site.validate(site.world.gateway.pack())
    await site.deliver()
    found = view.whole(await site.track.order(order.id))

    view.print_order(found)
    shown = capsys.readouterr().out

    assert all(f"0x{fact['transaction']}\n" in shown for fact in found["facts"])
    assert found["facts"]
    assert any(item["reference"] for item in found["deliveries"])
    assert "{'" not in shown
