from __future__ import annotations

import pytest

from ledger_service.commands.findings import Finding, host_of, in_words, look, look_behind
from ledger_service.domain import errors


def unreachable(cause: OSError) -> errors.NodeUnreachable:
    """Return what a client of several nodes raises: the last node's error below its own."""
    node = errors.NodeUnreachable(found="http://user:secret@127.0.0.1:8545", cause=repr(cause))
    node.__cause__ = cause
    outer = errors.NodeUnreachable(tried=2)
    outer.__cause__ = node
    return outer


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 8545)"), "refused"),
        (TimeoutError(), "does not answer"),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
        (ConnectionResetError(), "broke off the connection"),
    ],
)
def test_a_node_that_does_not_answer_is_said_in_words(cause: OSError, words: str) -> None:
    said = in_words(unreachable(cause))

    assert said == f"No node of the chain answers. 127.0.0.1:8545 {words}"


def test_other_errors_say_what_they_always_say() -> None:
    assert in_words(errors.UnknownAsset(found="1/a")) == str(errors.UnknownAsset(found="1/a"))
    assert in_words(errors.NodeUnreachable(tried=1)) == str(errors.NodeUnreachable(tried=1))
    assert in_words(OSError()) == "OSError"


def test_an_address_is_shown_as_host_and_port() -> None:
    assert host_of("https://node.example:443/path") == "node.example:443"
    assert host_of("nonsense") == "nonsense"


async def test_what_hangs_on_something_that_failed_is_not_examined() -> None:
    async def never() -> str:
        raise AssertionError

    cause = Finding("chain", ok=False, text="away")

    assert await look_behind(cause, "builder", "AddBuilder", never) == Finding(
        "builder", ok=None, text="not examined: chain"
    )


async def test_where_the_chain_goes_away_meanwhile_no_motion_is_advised() -> None:
    async def away() -> str:
        raise unreachable(ConnectionRefusedError(111, "refused"))

    found = await look("builder", "AddBuilder", away)

    assert (found.ok, found.todo) == (False, "")
