from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from ledger_service.domain import errors, ids
from validators.agent import source
from validators.agent.source import HttpSource, SourceDown

ORDER = ids.OrderId(bytes(32))
KEPT = b'{"results": [{"order": "%s", "kept": true}]}' % bytes(32).hex().encode()
EVIDENCE = ids.EvidenceId(b"\x01" * 32)
Ask = Callable[[HttpSource], Awaitable[object]]


class Bytes(httpx.AsyncByteStream):
    def __init__(self, piece: bytes, times: int = 1, *, breaks: bool = False) -> None:
        self.piece, self.times, self.breaks, self.given = piece, times, breaks, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.times):
            self.given += len(self.piece)
            yield self.piece
        if self.breaks:
            raise httpx.RemoteProtocolError("ended early")


def ok(content: bytes) -> httpx.Response:
    return httpx.Response(200, stream=Bytes(content))


def answering(*answers: httpx.Response) -> HttpSource:
    queue = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        assert request.headers["Accept-Encoding"] == "identity"
        return queue.pop(0)

    return HttpSource("http://service", "secret", httpx.MockTransport(answer))


async def feed(asked: HttpSource) -> object:
    return await asked.feed(0, 1)


async def document(asked: HttpSource) -> object:
    return await asked.document(ORDER)


async def envelope(asked: HttpSource) -> object:
    return await asked.envelope(EVIDENCE)


async def whole_file(asked: HttpSource) -> object:
    return b"".join([chunk async for chunk in asked.file(EVIDENCE, "a b/ü.csv")])


async def hand_in(asked: HttpSource) -> object:
    return await asked.hand_in(2, {ORDER: b"{}"})


async def report(asked: HttpSource) -> object:
    return await asked.report(bytes(32))


ASKS = [feed, document, envelope, report, whole_file, hand_in]


async def test_what_the_api_says_is_taken() -> None:
    asked = answering(
        ok(b'{"items": [{"kind": "order"}], "next": 7}'),
        ok(b"report"),
        ok(b'{"document": "%s"}' % base64.b64encode(b"{}")),
        ok(b"envelope"),
        ok(b"bytes"),
        ok(KEPT),
    )

    assert await feed(asked) == [{"kind": "order"}]
    assert await report(asked) == b"report"
    assert await document(asked) == b"{}"
    assert await envelope(asked) == b"envelope"
    assert await whole_file(asked) == b"bytes"
    assert await hand_in(asked) == {}
    await asked.close()


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
async def test_any_other_answer_is_a_service_that_is_down(ask: Ask, status: int) -> None:
    with pytest.raises(SourceDown):
        await ask(answering(httpx.Response(status, headers={"Location": "http://evil"})))


@pytest.mark.parametrize("ask", ASKS)
async def test_what_is_not_there_is_not_found(ask: Ask) -> None:
    with pytest.raises(errors.NotFound):
        await ask(answering(httpx.Response(404)))


@pytest.mark.parametrize("ask", [feed, document, hand_in])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"5",
        b"{}",
        b"[" * 100_000,
        b'{"items": 5, "next": 1}',
        b'{"items": null}',
        b'{"results": [5]}',
        b'{"results": [{"order": []}]}',
        b'{"document": 5}',
        b'{"document": "%%%"}',
        b"\xff\xfe",
        b"\x1f\x8b\x08",
    ],
)
async def test_an_answer_that_is_not_as_the_api_says_is_a_service_that_is_down(
    ask: Ask, content: bytes
) -> None:
    with pytest.raises(SourceDown):
        await ask(answering(ok(content)))


@pytest.mark.parametrize("ask", [document, envelope, report, hand_in])
async def test_an_answer_without_end_is_left_where_it_is_too_long(ask: Ask) -> None:
    stream = Bytes(b"x" * source.MIB, 100_000)

    with pytest.raises(SourceDown, match="no end"):
        await ask(answering(httpx.Response(200, stream=stream)))
    assert stream.given <= source.MAX_ORDER_BYTES + source.MIB


async def test_a_result_counts_as_kept_only_where_the_service_says_so() -> None:
    orders = [ids.OrderId(bytes([number] * 32)) for number in range(4)]
    told = [
        {"order": orders[0].hex(), "kept": True},
        {"order": orders[1].hex(), "kept": False, "detail": "No such order."},
        {"order": orders[2].hex(), "kept": "yes"},
        {"order": ids.OrderId(bytes([9] * 32)).hex(), "kept": True},
    ]
    asked = answering(ok(json.dumps({"results": told}).encode()))

    refused = await asked.hand_in(2, dict.fromkeys(orders, b"{}"))

    assert list(refused) == orders[1:]
    assert refused[orders[1]] == "No such order."


async def test_results_go_out_together_each_with_its_exact_bytes() -> None:
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append((request.method, request.url.path, json.loads(request.content)))
        return ok(KEPT)

    asked = HttpSource("http://service", "secret", httpx.MockTransport(answer))
    await asked.hand_in(2, {ORDER: b'{"a": 1}', ids.OrderId(bytes([1] * 32)): b"\xff"})

    ((method, path, body),) = bodies
    assert (method, path) == ("POST", "/v1/results")
    assert [base64.b64decode(it["document"]) for it in body["results"]] == [b'{"a": 1}', b"\xff"]
    assert {it["organisation"] for it in body["results"]} == {2}


@pytest.mark.parametrize("ask", [feed, document, envelope, report, whole_file, hand_in])
async def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(ask: Ask) -> None:
    with pytest.raises(SourceDown):
        await ask(answering(httpx.Response(200, stream=Bytes(b"{", breaks=True))))


@pytest.mark.parametrize("ask", ASKS)
async def test_a_line_that_is_dead_is_a_service_that_is_down(ask: Ask) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(SourceDown) as caught:
        await ask(HttpSource("http://service", "secret", httpx.MockTransport(fail)))
    assert "secret" not in str(caught.value)


async def test_a_path_is_quoted_as_one_name_and_cannot_leave_its_place() -> None:
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return ok(b"")

    asked = HttpSource("http://service", "secret", httpx.MockTransport(answer))
    for path in ("a b/ü.csv", "q?x=1#f"):
        async for _ in asked.file(EVIDENCE, path):
            pass

    assert [path.split(b"/files/")[1] for path in paths] == [b"a%20b/%C3%BC.csv", b"q%3Fx%3D1%23f"]


async def test_a_stream_that_is_left_is_closed_at_once() -> None:
    stream = Bytes(b"x", 10)
    chunks = answering(httpx.Response(200, stream=stream)).file(EVIDENCE, "f")
    await anext(chunks)
    await chunks.aclose()
    await asyncio.sleep(0)

    assert stream.given == 1
