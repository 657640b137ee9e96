from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.services.dispute import accept
from tests.integration.api.http import Api
from tests.unit.services.gateway import Packed


async def test_a_process_that_serves_is_live_and_ready_when_its_chain_answers(api: Api) -> None:
    live, ready = await api.get("/health/live", None), await api.get("/health/ready", None)

    assert live.json() == {"status": "live"}
    figures = ready.json()
    assert figures.pop("nodes")["text"] == "all 1 answer"
    assert figures == {"status": "ready", "head": 0, "lag": 1}


async def test_without_a_chain_it_is_live_but_not_ready_and_still_measured(api: Api) -> None:
    api.world.ledger.down = True

    live, ready = await api.get("/health/live", None), await api.get("/health/ready", None)
    metrics = (await api.get("/metrics", None)).text

    assert live.status_code == 200
    assert (ready.status_code, ready.json()["code"]) == (503, "CH01")
    assert "down: node-1; the chain needs 1 of its 1 validators" in ready.json()["detail"]
    assert "Retry-After" in ready.headers
    assert "mol_chain_up 0.0" in metrics
    assert "mol_follow_lag_blocks NaN" in metrics


async def test_while_nodes_contradict_each_other_it_is_not_ready_and_says_about_what(
    api: Api,
) -> None:
    ledger = api.world.ledger
    block = await ledger.mine()
    other = replace(block, hash=ids.BlockHash(b"\x66" * 32))
    ledger.rivals[block.number] = other
    with pytest.raises(NodesDisagree):
        await api.site.follow.step()
    ledger.rivals.clear()  # the other node is silent: the disagreement stays

    ready = await api.get("/health/ready", None)
    metrics = (await api.get("/metrics", None)).text

    assert (ready.status_code, ready.json()["code"]) == (503, "CH09")
    assert f"block {block.number}" in ready.json()["detail"]
    assert "66" * 32 in ready.json()["detail"]
    assert "mol_nodes_disagree 1.0" in metrics
    assert "mol_chain_up 1.0" in metrics

    await accept(api.world.store, block.hash)
    assert (await api.get("/health/ready", None)).status_code == 200
    assert "mol_nodes_disagree 0.0" in (await api.get("/metrics", None)).text


async def test_which_node_is_asked_and_where_it_stands_is_measured(api: Api) -> None:
    metrics = (await api.get("/metrics", None)).text

    assert 'mol_node_used{node="node-1"} 1.0' in metrics
    assert 'mol_node_head{node="node-1"} 7.0' in metrics
    assert 'mol_node_left_alone{node="node-1"} 1.0' in metrics


async def test_what_no_node_takes_is_counted(api: Api) -> None:
    await api.post(api.world.gateway.pack())
    api.world.ledger.most_gas = 0
    await api.site.anchor.step()
    assert "mol_refused_transactions 1.0" in (await api.get("/metrics", None)).text

    api.world.ledger.most_gas = 10**6
    await api.site.anchor.reconcile(at_start=True)

    assert "mol_refused_transactions 0.0" in (await api.get("/metrics", None)).text


async def test_figures_say_what_waits_where(api: Api) -> None:
    packed = api.world.gateway.pack()
    await api.post(packed)
    assert "mol_backlog 1.0" in (await api.get("/metrics", None)).text

    await api.site.validate(packed)

    metrics = await api.get("/metrics", None)
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert "mol_backlog 0.0" in metrics.text
    assert 'mol_outbox_rows{destination="erp",state="done"} 1.0' in metrics.text
    assert "mol_chain_up 1.0" in metrics.text
    assert "mol_follow_lag_blocks 0.0" in metrics.text


async def test_a_destination_that_does_not_answer_and_what_waits_for_it_are_measured(
    api: Api,
) -> None:
    erp = next(item for item in api.world.destinations if item.name == "erp")
    erp.faults.extend(errors.DestinationDown("away", retry_after=60) for _ in range(9))
    await api.site.validate(await posted(api))
    api.world.clock.advance(seconds=30)

    metrics = (await api.get("/metrics", None)).text

    assert 'mol_relay_circuit_open{destination="erp"} 1.0' in metrics
    assert 'mol_relay_failures{destination="erp"} 1.0' in metrics
    assert 'mol_outbox_oldest_seconds{destination="erp"} 30.0' in metrics
    assert 'destination="documents",state="pending"' not in metrics


async def posted(api: Api) -> Packed:
    packed = api.world.gateway.pack()
    await api.post(packed)
    return packed
