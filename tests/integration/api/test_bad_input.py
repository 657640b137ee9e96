from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger_service.domain import ids
from ledger_service.domain.records import Role
from ledger_service.services.seal import Limits
from tests.golden.cases import CASES
from tests.golden.make import FOLDER, text_of
from tests.integration.api.http import MULTIPART, Api, multipart, serving

VECTORS = Path(__file__).parents[2] / "vectors" / "bad"
GOLDEN = sorted(FOLDER.glob("*.json"))


def test_the_golden_files_are_those_that_the_cases_make() -> None:
    committed = {path.stem: path.read_text(encoding="utf-8") for path in GOLDEN}

    assert committed == {name: text_of(case) for name, case in CASES().items()}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
async def test_what_is_wrong_is_said_with_a_code_and_leaves_nothing_and_right_input_follows(
    tmp_path: Path, path: Path
) -> None:
    case = load(path)
    places = tmp_path / "places"
    plant(places, case.get("locations", {}))
    limits = Limits(**case.get("limits", {}))
    async with serving(tmp_path, limits=limits, locations=[f"file://{places}/allowed"]) as api:
        for name in case.get("revoked", []):
            api.world.ledger.revoke_detector(ids.DetectorId(bytes.fromhex(name)))
        for request in case.get("before", []):
            assert (await send(api, request, places)).status_code == 202
        held = await everything(api)

        wrong = await send(api, case["request"], places)

        check_problem(wrong, case["expect"])
        assert await everything(api) == held
        if case.get("settled"):
            await api.site.run_to_the_end()
        right = await send(api, case["right"], places)
        assert right.status_code == 202, right.text
        assert not [name for name in api.stored() if name.startswith("staging")]


async def test_every_faulty_envelope_of_the_published_vectors_is_refused_as_they_say(
    api: Api,
) -> None:
    for case in load(VECTORS / "index.json")["cases"]:
        body = multipart((VECTORS / case["file"]).read_bytes(), [])
        headers = {"Content-Type": MULTIPART}

        answer = await api.call("POST", "/v1/evidence", Role.EDGE, content=body, headers=headers)

        check_problem(answer, {"status": answer.status_code, "code": case["code"]})
        assert answer.status_code == 422, case["fault"]
    assert await everything(api) == ([], [], 0)


def load(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return case


def check_problem(answer: httpx.Response, expect: dict[str, Any]) -> None:
    problem = answer.json()
    assert (answer.status_code, problem.get("code")) == (expect["status"], expect["code"]), problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == expect["status"]
    assert problem["detail"]
    assert len(answer.content) < 4096


async def everything(api: Api) -> tuple[list[str], list[str], int]:
    """Return all that is held: bytes, evidence, announcements."""
    found = await api.site.track.latest(100)
    return (
        api.stored(),
        [item.evidence.id.hex() for item in found],
        len(await api.site.track.feed(0, 100)),
    )


async def send(api: Api, request: dict[str, Any], places: Path) -> httpx.Response:
    """Send a request of a golden file."""
    body = b"".join(piece(item, places) for item in request["body"])
    headers = {name: value for name, value in request["headers"].items() if value}
    return await api.call("POST", "/v1/evidence", Role.EDGE, content=body, headers=headers)


def piece(item: Any, places: Path) -> bytes:
    if isinstance(item, str):
        return item.encode("latin-1").replace(b"{locations}", f"file://{places}".encode())
    return str(item["repeat"]).encode("latin-1") * int(item["times"])


def plant(places: Path, tree: dict[str, Any]) -> None:
    """Lay files and links out."""
    (places / "allowed").mkdir(parents=True)
    for name, what in tree.items():
        path = places / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(what, dict):
            path.symlink_to(what["link"])
        else:
            path.write_text(what, encoding="utf-8")
