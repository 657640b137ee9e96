from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
import standardwebhooks

from integrations.events import Webhook
from ledger_service.domain import errors
from tests.peers.deliveries import told
from tests.peers.receiver import SECRET, Receiver, receiving

SOURCE = "urn:plant:ledger"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def hook(receiver: Receiver) -> AsyncIterator[Webhook]:
    made = Webhook(receiver.url, SECRET, SOURCE)
    yield made
    await made.close()


async def test_an_event_arrives_signed_and_whole(receiver: Receiver, hook: Webhook) -> None:
    delivery = told("events")

    reference = await hook.deliver(delivery)

    assert receiver.problems == []
    assert receiver.events[delivery.payload["eventId"]]["data"]["order"] == delivery.key
    assert reference == {"id": delivery.payload["eventId"], "status": 202}


async def test_a_signature_by_another_secret_does_not_verify(
    receiver: Receiver, hook: Webhook
) -> None:
    await hook.deliver(told("events"))
    [request] = receiver.requests

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_b3RoZXI=").verify(b"{}", dict(request.headers))


async def test_a_lost_answer_brings_a_double_that_is_known_by_its_id(
    receiver: Receiver, hook: Webhook
) -> None:
    receiver.lose = 1

    with pytest.raises(errors.DestinationDown):
        await hook.deliver(told("events"))
    await hook.deliver(told("events"))

    assert len(receiver.requests) == 2
    assert len(receiver.events) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_a_refusal_needs_a_person(receiver: Receiver, hook: Webhook, status: int) -> None:
    receiver.answers.append((status, {}))

    with pytest.raises(errors.DestinationRefused, match=str(status)):
        await hook.deliver(told("events"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_trouble_is_tried_again_later(receiver: Receiver, hook: Webhook, status: int) -> None:
    receiver.answers.append((status, {}))

    with pytest.raises(errors.DestinationDown, match=str(status)):
        await hook.deliver(told("events"))
    await hook.deliver(told("events"))

    assert len(receiver.events) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, hook: Webhook, status: int) -> None:
    receiver.answers.append((status, {"Location": receiver.url}))

    with pytest.raises(errors.DestinationRefused, match=str(status)):
        await hook.deliver(told("events"))

    assert len(receiver.requests) == 1
    assert receiver.events == {}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("pause", "seconds"),
    [("60", 60), (formatdate(4102444800, usegmt=True), 86400), ("soon", 0), ("-1", 0)],
)
async def test_who_asks_for_a_pause_has_it_passed_on(
    receiver: Receiver, hook: Webhook, status: int, pause: str, seconds: float
) -> None:
    receiver.answers.append((status, {"Retry-After": pause}))

    with pytest.raises(errors.DestinationDown) as caught:
        await hook.deliver(told("events"))

    assert caught.value.fields["retry_after"] == seconds


async def test_a_receiver_that_is_not_there_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        hook = Webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/hook", SECRET, SOURCE)
        with pytest.raises(errors.DestinationDown):
            await hook.deliver(told("events"))
        await hook.close()


async def test_a_receiver_that_says_nothing_is_down() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        hook = Webhook(url, SECRET, SOURCE, timeout=0.2)
        with pytest.raises(errors.DestinationDown):
            await hook.deliver(told("events"))
        await hook.close()


async def test_text_of_any_alphabet_keeps_its_signature(receiver: Receiver, hook: Webhook) -> None:
    await hook.deliver(told("events", title="Bohrer Ø wechseln — 主轴"))

    [event] = receiver.events.values()
    assert json.dumps(event["data"]["document"]["title"]) == json.dumps("Bohrer Ø wechseln — 主轴")


@pytest.mark.parametrize("status", [None, 404, 503])
async def test_no_secret_of_the_receivers_address_is_told(
    receiver: Receiver, status: int | None
) -> None:
    url = receiver.url.replace("http://", "http://anna:hunter2@")
    if status is None:
        url = url.replace(url.rpartition(":")[2], "1/hook")
    else:
        receiver.answers.append((status, {}))
    hook = Webhook(f"{url}?sig=s3cret", SECRET, SOURCE)

    with pytest.raises(errors.RelayError) as caught:
        await hook.deliver(told("events"))

    assert "http://127.0.0.1:" in str(caught.value)
    assert not any(part in str(caught.value) for part in ("anna", "hunter2", "hook", "s3cret"))
    await hook.close()


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[Webhook]:
    """Listen, say these bytes to each request and no more; yield who posts there."""
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
        serving.append(asyncio.current_task())
        writer.write(answer)
        if answer.endswith(LONGER):
            writer.write_eof()
        await reader.read()  # until the other one hangs up
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    hook = Webhook(url, SECRET, SOURCE, timeout=0.5)
    yield hook
    await hook.close()
    server.close()
    await asyncio.gather(*(task for task in serving if task is not None))


LONGER = b"content-length: 99\r\n\r\n"
OPEN = b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("rest", [LONGER, OPEN], ids=["another length", "an open stream"])
async def test_what_was_taken_is_delivered_whatever_becomes_of_the_answers_body(
    rest: bytes,
) -> None:
    async with saying(b"HTTP/1.1 200 OK\r\n" + rest) as hook:
        reference = await hook.deliver(told("events"))

    assert reference["status"] == 200


@pytest.mark.parametrize("rest", [LONGER, OPEN], ids=["another length", "an open stream"])
async def test_a_refusal_is_one_whatever_becomes_of_its_text(rest: bytes) -> None:
    async with saying(b"HTTP/1.1 410 Gone\r\n" + rest) as hook:
        with pytest.raises(errors.DestinationRefused, match="HTTP 410"):
            await hook.deliver(told("events"))
