from __future__ import annotations

import pytest

from ledger_service.domain.addresses import bare

SECRETS = ("hunter2", "anna", "k3y", "sig=")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://anna:hunter2@node.example:8545/k3y?sig=1#x", "https://node.example:8545"),
        ("WSS://anna:hun@ter2@node.example/k3y", "WSS://node.example"),
        ("http://[::1]:8545/k3y", "http://[::1]:8545"),
        ("http://node.example?sig=k3y", "http://node.example"),
        ("no address", "no address"),
        ("", ""),
        (
            "401, url='https://anna@a.example/k3y?sig=2', then http://b.example/k3y.",
            "401, url='https://a.example', then http://b.example",
        ),
    ],
)
def test_of_an_address_only_the_host_is_told(text: str, told: str) -> None:
    assert bare(text) == told
    assert not any(secret in bare(text) for secret in SECRETS)
