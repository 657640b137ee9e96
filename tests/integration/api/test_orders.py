from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ledger_service.api.schemas import MOST_RESULTS, HandedIn, HandIn
from ledger_service.domain import ids
from ledger_service.domain.records import Order, Role
from ledger_service.domain.result import APPROVABLE, MAX_TEXT
from ledger_service.services.close import MAX_RESULT_BYTES
from tests.integration.api.http import Api, serving
from tests.unit.services.gateway import ASSET, Packed
from tests.unit.services.site import result_of


async def proposed(api: Api) -> tuple[Packed, Order]:
    packed = api.world.gateway.pack()
    await api.post(packed)
    return packed, await api.site.propose(packed)


async def test_an_order_shows_content_document_approvals_facts_and_deliveries(api: Api) -> None:
    packed, order = await proposed(api)
    place = f"/v1/orders/{order.id.hex()}"
    results = [handed(order, number) for number in (1, 2, 3)]
    answer = await api.call("POST", "/v1/results", content=json.dumps({"results": results}))
    assert [item["kept"] for item in answer.json()["results"]] == [True] * 3
    await api.site.validate(packed)

    shown = (await api.get(place, Role.BUYER)).json()

    assert (shown["status"], shown["block"], shown["attempt"]) == ("Validated", 3, 1)
    document = base64.b64decode(shown["document"])
    assert hashlib.sha256(document).hexdigest() == shown["content"]["orderDigest"]
    assert json.loads(document)["asset"] == ASSET
    assert [item["class"] for item in shown["approvals"]] == ["bit-equal"] * 3
    assert [fact["kind"] for fact in shown["facts"]] == ["Proposed", *["Approved"] * 3, "Moved"]
    assert {item["state"] for item in shown["deliveries"]} == {"done"}
    assert shown["proofBlocks"] == [3]


def handed(order: Order, organisation: int, document: bytes | None = None) -> dict[str, Any]:
    """Return a result as it is handed in."""
    exact = result_of(order, organisation).dumps() if document is None else document
    return {
        "order": order.id.hex(),
        "organisation": organisation,
        "document": base64.b64encode(exact).decode(),
    }


async def test_orders_are_found_by_status_and_asset(api: Api) -> None:
    done = await api.site.validate((await proposed(api))[0])
    _, opened = await proposed(api)

    async def found(query: str) -> list[str]:
        answer = await api.get(f"/v1/orders?{query}", Role.TECHNICIAN)
        return [item["orderId"] for item in answer.json()]

    assert await found("") == [opened.id.hex(), done.id.hex()]
    assert await found("status=Validated") == [done.id.hex()]
    assert await found(f"asset={ASSET}&limit=1") == [opened.id.hex()]
    assert await found("asset=1/robot-8'%20OR%201=1--") == []
    for wrong in ("status=validated", "asset=%00", "asset=1/robot%0A7", f"asset={'1' * 129}"):
        assert (await api.get(f"/v1/orders?{wrong}")).status_code == 422, wrong


async def test_an_organisation_hands_in_its_own_results_alone_and_each_is_judged_by_itself(
    api: Api,
) -> None:
    _, order = await proposed(api)
    theirs, ours = result_of(order, 2).dumps(), result_of(order, 1).dumps()
    broken = ours.replace(b'"salt":"00', b'"salt":"zz')
    other = dataclasses.replace(result_of(order, 1), order=ids.OrderId(bytes(32)))
    results = [
        handed(order, 2),
        handed(order, 1, theirs),
        handed(order, 1, ours[:-1]),
        handed(order, 1, bytes(70_000)),
        handed(order, 1, broken),
        {**handed(order, 1, other.dumps()), "order": "0" * 64},
        {**handed(order, 1), "document": "%%"},
        {**handed(order, 1), "document": "\N{SNOWMAN}"},
        handed(order, 1),
        handed(order, 1),
    ]

    body = json.dumps({"results": results})
    answer = await api.call("POST", "/v1/results", Role.ORGANISATION, content=body)

    told = answer.json()["results"]
    codes = ["AU02", "EV02", "EV08", "LM01", "EV02", "NF00", "EV02", "EV02", "", ""]
    assert [(item["kept"], item["code"]) for item in told] == [(not it, it) for it in codes]
    assert [item["order"] for item in told] == [item["order"] for item in results]
    assert all(item["kept"] or item["detail"] for item in told)
    assert [it.document for it in (await api.site.track.order(order.id)).results] == [ours]


async def test_a_request_with_results_that_is_none_is_a_problem_and_keeps_nothing(api: Api) -> None:
    _, order = await proposed(api)
    good = handed(order, 1)
    bad: list[tuple[int, Any]] = [
        (422, []),
        (422, {"results": []}),
        (422, {"results": [good] * 65}),
        (422, {"results": [good, {**good, "organisation": 256}]}),
        (422, {"results": [good, {**good, "organisation": "1"}]}),
        (422, {"results": [good, {**good, "order": "5f"}]}),
        (422, {"results": [good, {**good, "document": 5}]}),
        (422, {"results": [{}] * 50_000}),
        (422, {"results": [{f"{at:x}": 1 for at in range(20_000)}]}),
        (422, {"results": [good, {**good, "more": 1}]}),
        (422, {"results": [good], "more": 1}),
        (413, {"results": [{**good, "document": "A" * 300_000}]}),
        (413, {"results": [{}] * 150_000}),
    ]

    for status, body in bad:
        content = json.dumps(body)
        answer = await api.call("POST", "/v1/results", Role.ORGANISATION, content=content)
        code = "LM01" if status == 413 else "EV02"
        assert (answer.status_code, answer.json()["code"]) == (status, code), content[:200]
    for torn in (b"", b"{", b"\xff"):
        answer = await api.call("POST", "/v1/results", Role.ORGANISATION, content=torn)
        assert (answer.status_code, answer.json()["code"]) == (422, "EV02")
    assert (await api.site.track.order(order.id)).results == []


async def test_as_many_and_as_long_results_as_may_be_fit_in_one_request(api: Api) -> None:
    long = result_of((await proposed(api))[1], 1)
    long = dataclasses.replace(long, runtime="\1" * MAX_TEXT, score=2_000_000, organisation=255)
    longest = max((dataclasses.replace(long, agreement=it).dumps() for it in APPROVABLE), key=len)
    assert MAX_RESULT_BYTES // 2 < len(longest) < MAX_RESULT_BYTES
    document = base64.b64encode(longest.ljust(MAX_RESULT_BYTES)).decode()
    orders = ["0x" + bytes([number] * 32).hex() for number in range(MOST_RESULTS)]
    items = [{"order": it, "organisation": 255, "document": document} for it in orders]

    answer = await api.call("POST", "/v1/results", content=json.dumps({"results": items}, indent=4))

    assert answer.status_code == 200, answer.text
    assert {item["code"] for item in answer.json()["results"]} == {"EV02"}  # of another order


def test_thousands_of_results_that_are_none_are_read_no_further_than_the_first() -> None:
    with pytest.raises(ValidationError) as caught:
        HandIn.model_validate_json(b'{"results": [%s]}' % b",".join([b"{}"] * 10_000))

    assert caught.value.error_count() == len(HandedIn.model_fields)


async def test_an_open_order_is_withdrawn_once(api: Api) -> None:
    packed, order = await proposed(api)
    place = f"/v1/orders/{order.id.hex()}/withdraw"

    first, second = await api.call("POST", place), await api.call("POST", place)
    await api.world.ledger.mine()
    await api.site.take_in()
    third = await api.call("POST", place)

    assert (first.status_code, first.json()) == (202, {"state": "withdrawing"})
    assert (second.status_code, second.json()["code"]) == (409, "CF00")
    assert (third.status_code, third.json()["code"]) == (409, "CH03")
    assert (await api.get(f"/v1/evidence/{packed.id.hex()}")).json()["state"] == "Withdrawn"


async def test_a_technician_ends_the_work_once_with_a_report_that_stays(api: Api) -> None:
    order = await api.site.validate((await proposed(api))[0])
    place = f"/v1/orders/0x{order.id.hex()}/close-out"
    report = b"%PDF-1.7 drill changed"

    async def end(outcome: str, content: bytes) -> tuple[int, dict[str, str]]:
        answer = await api.call(
            "POST", f"{place}?outcome={outcome}", Role.TECHNICIAN, content=content
        )
        return answer.status_code, answer.json()

    digest = hashlib.sha256(report).hexdigest()
    told = (202, {"orderId": order.id.hex(), "closeOut": digest})
    assert await end("cured", report) == told
    assert await end("cured", report) == told
    assert (await end("not-cured", report))[0] == 409
    assert (await end("fixed", report))[0] == 422
    assert (await end("cured", bytes(300_000)))[1]["code"] == "LM01"
    served = await api.get(f"/v1/close-outs/{digest}", Role.ORGANISATION)
    assert served.content == report
    assert (await api.get(f"/v1/close-outs/{'0' * 64}")).status_code == 404
    items = (await api.get("/v1/feed")).json()["items"]
    assert [item["kind"] for item in items] == ["order", "close-out"]


async def test_the_feed_waits_for_the_first_line_and_goes_on_behind_a_number(api: Api) -> None:
    packed = api.world.gateway.pack()
    await api.post(packed)

    waiting = asyncio.create_task(api.get("/v1/feed?wait=20", Role.ORGANISATION))
    await asyncio.sleep(0)
    await api.site.anchor.step()
    first = (await waiting).json()

    (item,) = first["items"]
    assert (item["sequence"], first["next"]) == (1, 1)
    assert base64.b64decode(item["body"]["envelope"]) == packed.envelope
    behind = (await api.get("/v1/feed?after=1")).json()
    assert behind == {"items": [], "next": 1}
    for query in ("after=-1", "after=9223372036854775808", "wait=31", "wait=nan", "after=x"):
        assert (await api.get(f"/v1/feed?{query}")).status_code == 422


async def test_the_feed_tells_a_small_dataset_with_its_order_where_it_is_asked_to(
    api: Api,
) -> None:
    packed, order = await proposed(api)
    size = sum(len(data) for data in packed.files.values())

    async def told(query: str) -> dict[str, bytes]:
        (item,) = (await api.get(f"/v1/feed?{query}", Role.ORGANISATION)).json()["items"]
        assert item["order"] == order.id.hex()
        return {path: base64.b64decode(text) for path, text in item["files"].items()}

    assert await told("") == {}
    assert await told(f"inline={size - 1}") == {}
    assert await told(f"inline={size}") == packed.files
    assert await told(f"inline={size - 1}") == {}  # what is kept for others changes nothing
    for query in ("inline=-1", "inline=262145", "inline=x"):
        assert (await api.get(f"/v1/feed?{query}")).status_code == 422


async def test_a_dataset_is_open_without_login_or_not_by_setting(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    async with serving(tmp_path / "open") as api:
        packed, order = await proposed(api)
        place = f"/v1/datasets/{packed.claim.dataset_root.hex()}"
        found = await api.get(place, None)
        assert [item["orderId"] for item in found.json()] == [order.id.hex()]
        unknown = await api.get(f"/v1/datasets/{'0' * 64}", None)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "NF00")
        assert (await api.get("/v1/datasets/xyz", None)).status_code == 422
    async with serving(tmp_path / "closed", public=False) as api:
        packed, _ = await proposed(api)
        place = f"/v1/datasets/{packed.claim.dataset_root.hex()}"
        assert (await api.get(place, None)).status_code == 401
        assert (await api.get(place, Role.BUYER)).status_code == 200
        assert (await api.get("/metrics", None)).status_code == 401
        assert (await api.get("/metrics", Role.BUYER)).status_code == 200
