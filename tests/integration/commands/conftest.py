from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_account import Account as Keys

from ledger_service.chain import consortium
from ledger_service.chain.keys import LocalSigner
from ledger_service.cli import run
from tests.peers.consortium import Founded, accounts, found, settings_of
from tests.peers.embedded import running_embedded
from validators.network.files import Network


@dataclass
class Desk:
    """A consortium on a chain, and the folder of somebody who works on it by `mol`."""

    folder: Path
    founded: Founded

    def keep(self, name: str, key: LocalSigner) -> str:
        """Write a test key's keystore and password; return the keystore's name."""
        sealed = Keys.encrypt(bytes(key._account.key), "pass", kdf="pbkdf2", iterations=1000)
        (self.folder / f"{name}.json").write_text(json.dumps(sealed), encoding="utf-8")
        password = self.folder / f"{name}.password"
        password.write_text("pass\n", encoding="utf-8")
        password.chmod(0o600)
        return f"{name}.json"

    def mol(self, line: str) -> int:
        """Run a command line in this process and this folder."""
        return run(line.split())

    def view(self, name: str, *arguments: object) -> object:
        """Ask the consortium."""
        settings, deployment = self.founded.settings, self.founded.deployment

        async def ask() -> object:
            async with accounts(settings, [self.founded.stranger]) as (account,):
                answer: object = await consortium.view(
                    account, deployment.consortium, name, *arguments
                )
                return answer

        return asyncio.run(ask())

    def role_of(self, keystore: str) -> tuple[int, int]:
        """Return role and organisation that the contract gives a keystore's key."""
        fields = json.loads((self.folder / keystore).read_text("utf-8"))
        word = self.view("roleOf", "0x" + fields["address"].removeprefix("0x"))
        assert isinstance(word, int)
        return word & 0xFF, word >> 8


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain for all of them."""
    with running_embedded(tmp_path_factory.mktemp("commands") / "chain") as running:
        yield running


@pytest.fixture(scope="session")
def calm(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """A consortium whose members stay as they are."""
    folder = tmp_path_factory.mktemp("calm")
    return asyncio.run(found(settings_of(network, folder), "calm"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network, calm: Founded) -> Desk:
    """The governance and recovery keys of three organisations at hand: gov-1.json, rec-1.json."""
    monkeypatch.chdir(tmp_path)
    return laid_out(tmp_path, network, calm)


@pytest.fixture
def own_desk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: Network,
    request: pytest.FixtureRequest,
) -> Desk:
    """The same with a consortium of its own, for a test that changes its members."""
    monkeypatch.chdir(tmp_path)
    founded = asyncio.run(found(settings_of(network, tmp_path), request.node.name))
    return laid_out(tmp_path, network, founded)


def laid_out(folder: Path, network: Network, founded: Founded) -> Desk:
    """Write what commands look for in their folder."""
    network.save(folder)
    text = json.dumps(founded.deployment.as_json())
    (folder / "deployment.json").write_text(text, encoding="utf-8")
    made = Desk(folder, founded)
    for number, keys in enumerate(founded.organisations, start=1):
        made.keep(f"gov-{number}", keys.governance)
        made.keep(f"rec-{number}", keys.recovery)
    return made
