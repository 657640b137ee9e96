"""A key and a network given on the command line, for commands that sign by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ledger_service.chain.account import Account
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import LocalSigner, load_keystore, password_beside
from ledger_service.chain.settings import ChainSettings, Deployment

NETWORK = Path("network.json")
DEPLOYMENT = Path("deployment.json")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Keystore:
    """Which key signs.

    Parameters
    ----------
    keystore:
        The key, as an encrypted keystore file.
    password_file:
        Its password, in a file that only you may read; default: beside it, ending in .password.
    """

    keystore: Path
    password_file: Path | None = None

    def open(self) -> LocalSigner:
        """Open it. Raise KeyMissing, BadKeystore."""
        return load_keystore(self.keystore, self.password_file or password_beside(self.keystore))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """Which chain and contracts.

    Parameters
    ----------
    network:
        The file that `mol network new` wrote.
    deployment:
        The file that `mol contracts deploy` wrote.
    node:
        Name of the node to ask first; default: any.
    """

    network: Path = NETWORK
    deployment: Path = DEPLOYMENT
    node: str = ""

    def settings(self) -> ChainSettings:
        """Read the network file. Raise ConfigError."""
        return ChainSettings.load(self.network, node=self.node)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ChainLedger]:
        """Open a client that has checked chain and contracts. Raise WrongChain."""
        ledger = ChainLedger(self.settings(), Deployment.load(self.deployment))
        try:
            await ledger.check()
            yield ledger
        finally:
            await ledger.close()

    @asynccontextmanager
    async def account(self, signer: LocalSigner) -> AsyncIterator[Account]:
        """Open an account that sends by hand."""
        account = Account(self.settings(), signer)
        try:
            yield account
        finally:
            await account.close()


Verbose = Annotated[bool, Parameter(negative="")]
