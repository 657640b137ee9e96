"""`mol key`: keys that sign transactions, as encrypted keystores, and their place in the consortium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import App, Parameter, validators

from ledger_service.chain import motions
from ledger_service.chain.binding import consortium_interface
from ledger_service.chain.keys import load_keystore, make_keystore, password_beside
from ledger_service.chain.possession import BUILDER, ORGANISATION_ROLES, Possession
from ledger_service.chain.settings import Deployment
from ledger_service.commands.keys import DEPLOYMENT, Keystore, Place
from ledger_service.domain import errors, ids

Number = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=255))]
Proofs = Annotated[Path, Parameter(help="The new keys, as `mol key prove` wrote them.")]
#: The governance key goes last: the one that signs here still has to be it.
ROTATED = ("Verdict", "Recovery", "Governance")

app = App(
    name="key",
    help="""Make keys that sign on chain, and replace them: verdict, governance, recovery, builder.

    Each is a keystore (Web3 Secret Storage) with its password beside it, ending in .password, both
    readable by their owner alone. Keep governance and recovery keys off machines that run.
    Example: `mol key new keys/verdict-2.json`, then
    `mol key prove --organisation 1 --verdict keys/verdict-2.json --file proofs.json`, then
    `mol key rotate proofs.json --keystore keys/governance.json`.
    """,
)


@app.command
def new(*files: Path) -> None:
    """Make one key per file; print the addresses. An existing key is never overwritten."""
    for file in files:
        print(f"{ids.checksum(make_keystore(file))}  {file}")


@app.command
def show(key: Keystore) -> None:
    """Print a keystore's address, proving that its password opens it."""
    print(ids.checksum(key.open().address))


@app.command
def prove(
    *,
    organisation: Number,
    file: Path,
    verdict: Path | None = None,
    governance: Path | None = None,
    recovery: Path | None = None,
    builder: Path | None = None,
    deployment: Path = DEPLOYMENT,
) -> None:
    """Let new keys prove that they are held. Needs no network; the file holds no secret.

    It is for `mol key rotate` and `recover`, and for `mol motion propose AddOrganisation`,
    `AddBuilder` and `Recover`.

    Parameters
    ----------
    organisation:
        Its number; a builder's: the sponsor's; a newcomer's: one more than were given so far.
    file:
        Where the proofs are written.
    verdict:
        Keystore of the new key, its password beside it; so are the next three.
    deployment:
        The file that `mol contracts deploy` wrote: proofs are for this consortium alone.
    """
    given = (verdict, governance, recovery, builder)
    roles = zip((*ORGANISATION_ROLES, BUILDER), given, strict=True)
    keys = {role: load_keystore(at, password_beside(at)) for role, at in roles if at is not None}
    if not keys:
        raise errors.ConfigError("Name at least one keystore, as in --verdict FILE.")
    made = Possession.make(Deployment.load(deployment), organisation, keys)
    file.write_text(json.dumps(made.as_json(), indent=2) + "\n", encoding="utf-8")
    print(f"{', '.join(keys)} for organisation {organisation}, written to {file}")


@app.command
def rotate(proofs: Proofs, *, key: Keystore, place: Place | None = None) -> None:
    """Replace one's own keys by those of the file, at once, with the governance key.

    A recovery under way is deleted. Then start the agent with the new verdict key.
    """
    where = place or Place()
    held = Possession.load(proofs, Deployment.load(where.deployment))
    chosen = [role for role in ROTATED if role in held.proofs]
    if not chosen or BUILDER in held.proofs:
        raise errors.ConfigError("A builder is replaced by motions: AddBuilder, RemoveBuilder.")
    calls = []
    for role in chosen:
        (address,), (proof,) = held.of(role)
        calls.append(_call(f"rotate{role}Key", address, proof))
    _send(calls, key, where)


@app.command
def recover(proofs: Proofs, *, key: Keystore, place: Place | None = None) -> None:
    """Announce new verdict and governance keys, with the recovery key; `finish-recovery` after the notice.

    The governance key, if it is not lost after all, stops it: `cancel-recovery`.
    """
    where = place or Place()
    held = Possession.load(proofs, Deployment.load(where.deployment))
    (verdict, governance), (first, second) = held.of("Verdict", "Governance")
    _send([_call("startRecovery", verdict, first, governance, second)], key, where)


@app.command
def cancel_recovery(*, key: Keystore, place: Place | None = None) -> None:
    """Stop a recovery of one's own organisation, with the governance key."""
    _send([_call("cancelRecovery")], key, place or Place())


@app.command
def finish_recovery(organisation: Number, *, key: Keystore, place: Place | None = None) -> None:
    """Let the announced keys of an organisation take over, after the notice; any key may."""
    _send([_call("finishRecovery", organisation)], key, place or Place())


@app.command
def leave(*, key: Keystore, place: Place | None = None) -> None:
    """Announce that one's own organisation leaves, with the governance key; `finish-leave` after the notice."""
    _send([_call("announceLeave")], key, place or Place())


@app.command
def cancel_leave(*, key: Keystore, place: Place | None = None) -> None:
    """Stay after all, with the governance key."""
    _send([_call("cancelLeave")], key, place or Place())


@app.command
def finish_leave(organisation: Number, *, key: Keystore, place: Place | None = None) -> None:
    """End the membership of an organisation that announced it, after the notice; any key may."""
    _send([_call("finishLeave", organisation)], key, place or Place())


def _call(name: str, *arguments: Any) -> bytes:
    return consortium_interface().functions[name].encode(*arguments)


def _send(calls: list[bytes], key: Keystore, place: Place) -> None:
    async def run() -> None:
        async with place.open() as ledger, place.account(key.open()) as account:
            for data in calls:
                receipt = await account.do(ledger.deployment.consortium, data)
                print(*motions.told(receipt, ledger.deployment.consortium), sep="\n")

    uvloop.run(run())
