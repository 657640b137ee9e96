from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
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
