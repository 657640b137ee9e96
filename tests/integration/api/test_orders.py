from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path

from ledger_service.domain.records import Order, Role
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
    for number in (1, 2, 3):
        document = result_of(order, number).dumps()
        role = Role.ORGANISATION if number == 1 else Role.OPERATOR
        handed = await api.call("PUT", f"{place}/results/{number}", role, content=document)
        assert (handed.status_code, handed.content) == (204, b"")
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


async def test_an_organisation_hands_in_its_own_results_alone(api: Api) -> None:
    _, order = await proposed(api)
    place = f"/v1/orders/{order.id.hex()}/results"
    theirs, ours = result_of(order, 2).dumps(), result_of(order, 1).dumps()

    as_two = await api.call("PUT", f"{place}/2", Role.ORGANISATION, content=theirs)
    mixed = await api.call("PUT", f"{place}/1", Role.ORGANISATION, content=theirs)
    torn = await api.call("PUT", f"{place}/1", Role.ORGANISATION, content=ours[:-1])
    long = await api.call("PUT", f"{place}/1", Role.ORGANISATION, content=bytes(70_000))
    nobody = await api.call("PUT", f"{place}/256", content=ours)
    broken = ours.replace(b'"salt":"00', b'"salt":"zz')
    unread = await api.call("PUT", f"{place}/1", Role.ORGANISATION, content=broken)

    answers = (as_two, mixed, torn, long, nobody, unread)
    assert [(a.status_code, a.json()["code"]) for a in answers] == [
        (403, "AU02"), (422, "EV02"), (422, "EV08"), (413, "LM01"), (422, "EV24"), (422, "EV02"),
    ]  # fmt: skip
    assert (await api.site.track.order(order.id)).results == []


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
