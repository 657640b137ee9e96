from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_service.api.auth import digest_of, make_token
from ledger_service.domain.records import Role
from tests.integration.api.http import Api

HEX = "ab" * 32
ALL = frozenset(Role)
OPEN: list[tuple[str, str]] = [
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", f"/v1/datasets/{HEX}"),
]
#: Every other route, and who may call it. An operator may call all.
MATRIX: dict[tuple[str, str], frozenset[Role]] = {
    ("POST", "/v1/evidence"): frozenset({Role.EDGE}),
    ("GET", "/v1/evidence"): ALL,
    ("GET", f"/v1/evidence/{HEX}"): ALL,
    ("GET", f"/v1/evidence/{HEX}/envelope"): frozenset({Role.ORGANISATION, Role.AUDITOR}),
    ("GET", f"/v1/evidence/{HEX}/files/a.csv"): frozenset({Role.ORGANISATION, Role.AUDITOR}),
    ("POST", f"/v1/evidence/{HEX}/again"): frozenset(),
    ("GET", "/v1/orders"): ALL,
    ("GET", f"/v1/orders/{HEX}"): ALL,
    ("POST", f"/v1/orders/{HEX}/withdraw"): frozenset(),
    ("POST", f"/v1/orders/{HEX}/close-out?outcome=cured"): frozenset({Role.TECHNICIAN}),
    ("POST", "/v1/results"): frozenset({Role.ORGANISATION}),
    ("GET", f"/v1/close-outs/{HEX}"): frozenset({Role.ORGANISATION, Role.AUDITOR}),
    ("GET", "/v1/feed"): frozenset({Role.ORGANISATION}),
}


@pytest.mark.parametrize(("route", "allowed"), MATRIX.items(), ids=[" ".join(r) for r in MATRIX])
async def test_each_role_may_call_what_it_is_for_and_nobody_else_may(
    api: Api, route: tuple[str, str], allowed: frozenset[Role]
) -> None:
    for role in Role:
        answer = await api.call(*route, role)
        if role in {*allowed, Role.OPERATOR}:
            assert answer.status_code not in {401, 403, 500}, (role, answer.text)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "AU02"), role
    nobody = await api.call(*route, None)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "AU01")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"


async def test_the_matrix_names_every_route_there_is(api: Api) -> None:
    described = {
        (method.upper(), path)
        for path, item in api.app.openapi()["paths"].items()
        for method in item
    }
    names = ("evidence", "order", "digest", "root")
    plain = {f"{{{name}}}": HEX for name in names} | {"{path}": "a.csv"}

    def filled(path: str) -> str:
        for name, value in plain.items():
            path = path.replace(name, value)
        return path

    listed = {(method, path.split("?")[0]) for method, path in [*MATRIX, *OPEN]}
    assert {(method, filled(path)) for method, path in described} == listed


async def test_what_is_open_needs_no_token(api: Api) -> None:
    for method, path in OPEN:
        assert (await api.call(method, path, None)).status_code in {200, 404}


async def test_a_token_ends_when_it_is_revoked_or_expires(api: Api) -> None:
    now = api.world.clock.now()
    text, token = make_token(Role.BUYER, "", now, now + timedelta(hours=1))
    async with api.world.store.transaction() as rows:
        await rows.tokens.add(token)
    headers = {"Authorization": f"Bearer {text}"}

    async def status() -> int:
        return (await api.call("GET", "/v1/orders", None, headers=headers)).status_code

    assert await status() == 200
    api.world.clock.advance(hours=1)
    assert await status() == 401
    text, token = make_token(Role.BUYER, "", now)
    headers = {"Authorization": f"Bearer {text}"}
    assert await status() == 401
    async with api.world.store.transaction() as rows:
        await rows.tokens.add(token)
    assert await status() == 200
    async with api.world.store.transaction() as rows:
        assert await rows.tokens.revoke(token.id, api.world.clock.now())
    api.world.clock.advance(seconds=1)
    assert await status() == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic bWU6bWU=", "Bearer mol_00000000_x", "Bearer \xff\xfe", "mol"],
)
async def test_no_other_header_opens_anything(api: Api, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}

    answer = await api.call("GET", "/v1/orders", None, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "AU01")


async def test_the_database_holds_no_token_only_digests(api: Api) -> None:
    raw = b"".join(path.read_bytes() for path in api.folder.glob("mol.db*"))

    for text in api.tokens.values():
        assert text.encode() not in raw
        assert text.split("_", 2)[2].encode() not in raw
        assert digest_of(text) in raw


async def test_an_edge_token_of_one_asset_posts_evidence_of_no_other(api: Api) -> None:
    made = {
        name: make_token(Role.EDGE, name, api.world.clock.now()) for name in ("1/a", "1/robot-7")
    }
    async with api.world.store.transaction() as rows:
        for _, token in made.values():
            await rows.tokens.add(token)
    packed = api.world.gateway.pack()
    statuses = []
    for text, _ in made.values():
        api.client.headers["Authorization"] = f"Bearer {text}"
        api.tokens = {**api.tokens, Role.EDGE: text}
        statuses.append((await api.post(packed)).status_code)

    assert statuses == [403, 202]
