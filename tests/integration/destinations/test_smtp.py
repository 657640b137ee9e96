from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from integrations.notifications import SmtpNotes
from ledger_service.domain import errors
from tests.peers.deliveries import told
from tests.peers.mailserver import PASSWORD, USER, Mailserver, certificate, serving


def notes(server: Mailserver, **changes: Any) -> SmtpNotes:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "sender": "maintenance@plant.example",
        "recipient_of": lambda _: "technician@plant.example",
        "tls": False,
    }
    return SmtpNotes(**(fields | changes))


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Ours: the server's, and the client's that trusts it."""
    return certificate(tmp_path_factory.mktemp("tls"))


async def test_a_note_goes_over_tls_with_a_password(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    theirs, ours = contexts
    async with serving(theirs) as server:
        sender = notes(server, tls=True, context=ours, user=USER, password=PASSWORD)
        reference = await sender.deliver(told("notifications"))

    [message] = server.received
    assert server.over_tls == [True]
    assert server.users == [USER.encode()]
    assert reference == {"channel": "smtp", "id": message["Message-ID"]}
    assert message["To"] == "technician@plant.example"
    assert message.get_body(("html",)) is not None


async def test_a_server_that_nobody_vouches_for_gets_no_note(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with serving(contexts[0]) as server:
        with pytest.raises(errors.DestinationDown, match="CERTIFICATE_VERIFY_FAILED"):
            await notes(server, tls=True, user=USER, password=PASSWORD).deliver(
                told("notifications")
            )

    assert server.users == []
    assert server.received == []


async def test_where_tls_is_demanded_and_not_offered_nothing_is_sent() -> None:
    async with serving() as server:
        with pytest.raises(errors.DestinationDown, match="STARTTLS"):
            await notes(server, tls=True, user=USER, password=PASSWORD).deliver(
                told("notifications")
            )

    assert server.received == []


async def test_a_wrong_password_is_refused_and_not_tried_again_and_again(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    theirs, ours = contexts
    async with serving(theirs) as server:
        with pytest.raises(errors.DestinationRefused, match="535"):
            await notes(server, tls=True, context=ours, user=USER, password="wrong").deliver(
                told("notifications")
            )

    assert server.received == []


@pytest.mark.parametrize("at", ["at_rcpt", "at_data"])
@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("451 4.7.1 Greylisted", errors.DestinationDown),
        ("452 4.2.2 Mailbox full", errors.DestinationDown),
        ("550 5.1.1 No such user", errors.DestinationRefused),
        ("554 5.7.1 Spam", errors.DestinationRefused),
    ],
)
async def test_later_and_never_are_told_apart(
    at: str, answer: str, named: type[errors.RelayError]
) -> None:
    async with serving() as server:
        getattr(server, at).append(answer)
        with pytest.raises(named, match=answer[:3]):
            await notes(server).deliver(told("notifications"))
        await notes(server).deliver(told("notifications"))

    assert len(server.received) == 1


async def test_a_lost_answer_brings_a_double_that_is_known_by_its_id() -> None:
    async with serving() as server:
        server.lose = 1
        with pytest.raises(errors.DestinationDown):
            await notes(server).deliver(told("notifications"))
        await notes(server).deliver(told("notifications"))

    first, second = server.received
    assert first["Message-ID"] == second["Message-ID"]
    assert first.as_bytes() == second.as_bytes()


async def test_a_server_that_is_not_there_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = Mailserver(port=taken.getsockname()[1])
        with pytest.raises(errors.DestinationDown):
            await notes(nowhere).deliver(told("notifications"))


async def test_a_server_that_says_nothing_is_down() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = Mailserver(port=silent.getsockname()[1])
        with pytest.raises(errors.DestinationDown):
            await notes(server, timeout=0.2).deliver(told("notifications"))
