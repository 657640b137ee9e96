from __future__ import annotations

import pytest

from ledger_service.commands import order_view as view
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
