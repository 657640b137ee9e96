"""`mol contracts`: compile, deploy, and compare what is deployed with what is committed."""

from __future__ import annotations

import json as json_library
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from cyclopts import App, Parameter

from ledger_service.chain.consortium import OrganisationKeys
from ledger_service.chain.consortium import deploy as deploy_contracts
from ledger_service.chain.keys import load_keystore, password_beside
from ledger_service.chain.settings import read_json
from ledger_service.commands.keys import Keystore, Place
from ledger_service.commands.show import Json, as_json
from ledger_service.domain import errors, ids

app = App(
    name="contracts",
    help="""Compile, deploy and verify the contracts.

    Example: `mol contracts deploy --founding founding.json --keystore keys/deployer.json`
    """,
)


@app.command
def build() -> int:
    """Compile with the pinned compiler and write the artifacts (needs npm; see contracts/setup.sh)."""
    return subprocess.run([sys.executable, "-m", "contracts.build"], check=False).returncode


@app.command
def deploy(*, founding: Path, key: Keystore, place: Place | None = None) -> None:
    """Deploy consortium and orders contract; write the deployment file.

    Parameters
    ----------
    founding:
        JSON: {"organisations": [{"name", "verdict", "governance", "recovery"}], "builders": [...],
        "noticeSeconds"}; each key a keystore file, its password beside it (.password).
    """
    uvloop.run(_deploy(_Founding.read(founding), key, place or Place()))


@app.command
def verify(place: Place | None = None, *, json: Json = False) -> None:
    """Compare chain id, genesis and the deployed code with this version's artifacts."""
    found = uvloop.run(_verify(place or Place()))
    if json:
        as_json(found)
        return
    for name, value in found.items():
        print(f"{name:10} {value}")


@Parameter(name="*")
@dataclass(frozen=True)
class _Founding:
    """The founding members, where one machine holds their keys (a ceremony, a demo)."""

    organisations: tuple[OrganisationKeys, ...]
    builders: tuple[Any, ...]
    notice: int

    @classmethod
    def read(cls, path: Path) -> _Founding:
        """Read the file and open all keys. Raise ConfigError, BadKeystore."""
        fields = read_json(path, "founding file", "see docs/operations.md")
        try:
            organisations = tuple(
                OrganisationKeys(
                    *(_open(path, item[role]) for role in ("verdict", "governance", "recovery"))
                )
                for item in fields["organisations"]
            )
            builders = tuple(_open(path, item) for item in fields["builders"])
            return cls(organisations, builders, int(fields.get("noticeSeconds", 24 * 3600)))
        except (KeyError, TypeError) as exc:
            raise errors.ConfigError("Not a founding file.", file=path, cause=repr(exc)) from exc


def _open(founding: Path, keystore: str) -> Any:
    path = founding.parent / keystore
    return load_keystore(path, password_beside(path))


async def _deploy(founding: _Founding, key: Keystore, place: Place) -> None:
    async with place.account(key.open()) as account:
        done = await deploy_contracts(
            account, founding.organisations, founding.builders, notice=founding.notice
        )
    text = json_library.dumps(done.as_json(), indent=2)
    place.deployment.write_text(text + "\n", encoding="utf-8")
    print(f"consortium {ids.checksum(done.consortium)}\norders     {ids.checksum(done.orders)}")
    print(f"written to {place.deployment}. List the orders contract by motion, then `verify`.")


async def _verify(place: Place) -> dict[str, Any]:
    async with place.open() as ledger:
        listed = await ledger.orders_listed()
        if ledger.deployment.orders not in listed:
            raise errors.WrongChain("The consortium does not list this orders contract.")
        return {
            "code": "as committed",
            "chainId": ledger.deployment.chain_id,
            "consortium": ids.checksum(ledger.deployment.consortium),
            "orders": ids.checksum(ledger.deployment.orders),
            "newest": listed[-1] == ledger.deployment.orders,
        }
