from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from ledger_service.domain import dsse
from ledger_service.domain.records import Role
from ledger_service.services.seal import Limits
from tests.integration.api.http import BASE, Api, inline, serving


async def test_evidence_is_202_then_200_with_the_same_answer_whatever_becomes_of_it(
    api: Api,
) -> None:
    packed = api.world.gateway.pack()

    first = await api.post(packed)
    second = await api.post(packed)
    await api.site.propose(packed)
    third = await api.post(packed)

    assert [answer.status_code for answer in (first, second, third)] == [202, 200, 200]
    assert first.json() == second.json() == third.json()
    tracker = f"{BASE}/v1/evidence/{packed.id.hex()}"
    assert first.json() == {
        "evidenceId": packed.id.hex(),
        "datasetRoot": packed.claim.dataset_root.hex(),
        "state": "Sealed",
        "links": {"tracker": tracker},
    }
    assert {answer.headers["Location"] for answer in (first, second, third)} == {tracker}


async def test_the_list_says_where_each_is_now(api: Api) -> None:
    done, opened, waiting = (api.world.gateway.pack() for _ in range(3))
    await api.site.validate(done)
    await api.post(opened)
    await api.site.propose(opened)
    await api.post(waiting)

    listed = (await api.get("/v1/evidence?limit=3")).json()

    assert [(item["evidenceId"], item["state"]) for item in listed] == [
        (waiting.id.hex(), "Sealed"),
        (opened.id.hex(), "Proposed"),
        (done.id.hex(), "Validated"),
    ]


async def test_the_same_evidence_at_once_over_many_connections_is_sealed_once(api: Api) -> None:
    packed = api.world.gateway.pack()

    answers = await asyncio.gather(*(api.post(packed) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [202]
    assert len((await api.get("/v1/evidence")).json()) == 1
    assert len(api.stored()) == 2


async def test_the_tracker_tells_every_hop_and_every_destination(api: Api) -> None:
    packed = api.world.gateway.pack()
    order = await api.site.validate(packed)

    journey = (await api.get(f"/v1/evidence/{packed.id.hex()}", Role.BUYER)).json()

    assert (journey["state"], journey["gap"], journey["sequence"]) == ("Validated", False, 1)
    assert [hop["name"] for hop in journey["hops"]][:4] == [
        "sealed", "anchoring", "propose sent", "proposed",
    ]  # fmt: skip
    assert {hop["name"] for hop in journey["hops"] if ":" in hop["name"]} == {
        f"{item.name}: validated" for item in api.world.destinations
    }
    assert journey["orders"][0]["orderId"] == order.id.hex()
    assert all(hop["at"] and hop["tries"] >= 1 for hop in journey["hops"])


async def test_the_exact_bytes_come_back_and_no_browser_would_run_them(api: Api) -> None:
    packed = api.world.gateway.pack({"a folder/<b> ü.html": b"<script>", "empty": b""})
    await api.post(packed)
    base = f"/v1/evidence/{packed.id.hex()}"

    envelope = await api.get(f"{base}/envelope", Role.AUDITOR)
    files = {
        path: await api.get(f"{base}/files/{path}", Role.ORGANISATION) for path in packed.files
    }

    assert envelope.content == packed.envelope
    assert {path: answer.content for path, answer in files.items()} == packed.files
    for answer in files.values():
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"] == "attachment"
    for path in ("other", "%2e%2e/%2e%2e/mol.db", "a folder", ""):
        missing = await api.get(f"{base}/files/{path}", Role.AUDITOR)
        assert missing.status_code == 404


async def test_small_evidence_may_come_as_plain_json(api: Api) -> None:
    packed = api.world.gateway.pack()

    first = await api.call("POST", "/v1/evidence", Role.EDGE, json=inline(packed))

    assert first.status_code == 202
    assert (await api.post(packed)).json() == first.json()


async def test_a_bare_statement_is_canonicalised_once_and_the_sealed_bytes_come_back(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, limits=Limits(require_signature=False)) as api:
        packed = api.world.gateway.pack()
        payload = json.loads(dsse.loads(packed.envelope).payload)
        loose = json.dumps({"statement": payload, "files": inline(packed)["files"]}, indent=3)

        headers = {"Content-Type": "application/json; charset=utf-8"}
        first = await api.call("POST", "/v1/evidence", content=loose, headers=headers)

        assert first.status_code == 202
        name = first.json()["evidenceId"]
        sealed = (await api.get(f"/v1/evidence/{name}/envelope")).json()
        assert base64.b64decode(sealed["payload"]) == packed.claim.dumps()
        assert sealed["signatures"] == []


async def test_files_of_an_allowed_location_are_copied_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    async with serving(tmp_path, locations=[f"file://{source}"]) as api:
        packed = api.world.gateway.pack({"day/samples.csv": b"1", "note": b"2"})
        for path, data in packed.files.items():
            (source / "robot" / path).parent.mkdir(parents=True, exist_ok=True)
            (source / "robot" / path).write_bytes(data)
        body = {
            "envelope": json.loads(packed.envelope),
            "location": {"url": f"file://{source}/robot/"},
        }

        first = await api.call("POST", "/v1/evidence", Role.EDGE, json=body)

        assert first.status_code == 202
        (source / "robot" / "note").write_bytes(b"changed")
        served = await api.get(f"/v1/evidence/{packed.id.hex()}/files/note")
        assert served.content == b"2"
        assert (await api.call("POST", "/v1/evidence", json=body)).status_code == 200


async def test_a_full_backlog_is_429_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(backlog=1)) as api:
        first, second = api.world.gateway.pack(), api.world.gateway.pack()
        await api.post(first)

        full = await api.post(second)

        assert (full.status_code, full.json()["code"]) == (429, "LM02")
        assert int(full.headers["Retry-After"]) > 0
        assert (await api.post(first)).status_code == 200
        await api.site.validate(first)
        assert (await api.post(second)).status_code == 202


async def test_a_file_of_a_packed_kind_is_kept_as_it_is(api: Api) -> None:
    bomb = b"PK\x03\x04" + bytes(100)
    packed = api.world.gateway.pack({"bomb.zip": bomb, "bomb.gz": b"\x1f\x8b" + bytes(50)})

    assert (await api.post(packed)).status_code == 202

    served = await api.get(f"/v1/evidence/{packed.id.hex()}/files/bomb.zip")
    assert served.content == bomb
    sizes = sorted((api.folder / "objects" / name).stat().st_size for name in api.stored())
    assert sizes == [52, 104]


async def test_evidence_that_failed_is_tried_again_by_an_operator(api: Api) -> None:
    packed = api.world.gateway.pack()
    await api.post(packed)
    api.world.ledger.revoke_detector(packed.claim.detector)
    await api.site.anchor.step()
    place = f"/v1/evidence/{packed.id.hex()}"
    assert (await api.get(place)).json()["state"] == "Failed"
    assert "Detector" in (await api.get(place)).json()["reason"]
    api.world.ledger.add_detector(packed.claim.detector)

    answer = await api.call("POST", f"{place}/again")

    assert (answer.status_code, answer.json()) == (202, {"state": "Sealed"})
    await api.site.run_to_the_end()
    assert (await api.get(place)).json()["state"] == "Validated"
    assert (await api.call("POST", f"{place}/again")).status_code == 409
