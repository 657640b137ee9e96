from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import httpx
import pytest

from edge.evidence import bundle, send
from ledger_service.api.multipart import Body, boundary_of
from tests.unit.edge.plant import Plant

ANSWER = {"evidenceId": "e", "state": "Sealed"}


class Service(httpx.AsyncBaseTransport):
    """Answers as told, one answer a request; remembers the bodies. None: the line breaks half way."""

    def __init__(self, *answers: httpx.Response | None) -> None:
        self.answers = list(answers)
        self.bodies: list[tuple[str, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers.pop(0)
        stream = cast("AsyncIterator[bytes]", request.stream)
        if answer is None:
            await anext(aiter(stream))
            raise httpx.WriteError("broken")
        body = b"".join([chunk async for chunk in stream])
        self.bodies.append((request.headers["Content-Type"], body))
        return answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    plant = Plant(tmp_path / "plant")
    (plant.data / "ü und mehr.txt").write_bytes(b"\r\n--boundary\r\n")
    return plant.pack()[0]


async def sent(
    service: Service, path: Path, tries: int = 8, waiting: Callable[[str], None] = lambda _: None
) -> dict[str, object]:
    client = httpx.AsyncClient(base_url="http://service", transport=service)
    async with client:
        with bundle.read(path) as opened:
            return await send.send(client, opened, tries=tries, first_pause=0, waiting=waiting)


async def test_the_body_has_envelope_and_files_byte_for_byte(path: Path) -> None:
    service = Service(httpx.Response(202, json=ANSWER))

    assert await sent(service, path) == ANSWER

    kind, body = service.bodies[0]
    found = {}

    async def stream() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 777):
            yield body[at : at + 777]

    async for part in Body(stream(), boundary_of(kind)).parts():
        found[part.name, part.filename] = await part.read(10**6)
    with bundle.read(path) as opened:
        assert found["envelope", "envelope.json"] == opened.envelope
        files = {name: data for (part, name), data in found.items() if part == "file"}
        assert files == {e.path: b"".join(opened.chunks(e.path)) for e in opened.claim.entries}
        assert list(files) == ["samples.csv", "ü und mehr.txt"]


async def test_a_send_that_breaks_off_is_taken_up_again_until_it_is_sealed(path: Path) -> None:
    busy = httpx.Response(429, headers={"Retry-After": "0"}, json={"code": "LM02", "detail": "x"})
    service = Service(
        None,
        busy,
        httpx.Response(503, headers={"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT"}),
        None,
        httpx.Response(200, json=ANSWER),
    )

    assert await sent(service, path) == ANSWER
    assert service.answers == []
    assert all(len(body) > 5_000 for _, body in service.bodies)


async def test_a_refusal_is_final_and_says_why(path: Path) -> None:
    problem = {"code": "EV12", "detail": "The signature does not verify."}
    service = Service(httpx.Response(422, json=problem), httpx.Response(202, json=ANSWER))

    with pytest.raises(send.Rejected, match="422 EV12: The signature does not verify"):
        await sent(service, path)
    assert len(service.answers) == 1


async def test_a_service_that_never_answers_is_given_up_with_the_last_reason(path: Path) -> None:
    with pytest.raises(send.Unreachable, match=r"Tried 3 times.*broken"):
        await sent(Service(None, None, None), path, tries=3)


async def test_each_pause_is_told_and_that_a_repeat_does_no_harm(path: Path) -> None:
    busy = httpx.Response(429, headers={"Retry-After": "0"}, json={"code": "LM02", "detail": "x"})
    told: list[str] = []

    with pytest.raises(send.Unreachable):
        await sent(Service(None, busy, None), path, 3, told.append)

    ending = ", trying again in 0 s (safe to repeat; Ctrl-C to stop)"
    assert told == [
        f"no answer at http://service{ending}",
        f"http://service is busy (429 LM02: x){ending}",
    ]


async def test_an_answer_that_is_no_problem_document_is_shown_as_it_is(path: Path) -> None:
    with pytest.raises(send.Rejected, match="404: <html>"):
        await sent(Service(httpx.Response(404, text="<html>")), path)
