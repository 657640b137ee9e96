"""`mol motion`: governance of the consortium, by cold keys."""

from __future__ import annotations

import json as json_library
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import App, Parameter

from ledger_service.chain import consortium, motions
from ledger_service.chain.account import Account
from ledger_service.chain.consortium import ARGUMENTS, Motion, VersionTerms
from ledger_service.chain.possession import BUILDER, ORGANISATION_ROLES, Possession
from ledger_service.chain.settings import Deployment, read_json
from ledger_service.commands.given import as_wrong_use
from ledger_service.commands.keys import Keystore, Place
from ledger_service.commands.show import Json, Yes, as_json, confirmed, short, table
from ledger_service.domain import errors, ids

app = App(
    name="motion",
    help="""Propose and approve motions: members, asset versions, detectors, devices, builders.

    Every organisation concerned votes with its governance key; the last vote executes the motion.
    Example: `mol motion propose AddDetector --detector 5f0c… --file add-detector.json --keystore …`
    """,
)
KINDS = tuple(ARGUMENTS)
#: Kinds about new keys -> the roles of those keys, which must prove that they are held.
PROVEN = {
    "AddOrganisation": ORGANISATION_ROLES,
    "Recover": ORGANISATION_ROLES,
    "AddBuilder": (BUILDER,),
}
#: Kinds about a machine: its name is handed on with the motion, which has a hash of it alone.
OF_MACHINES = frozenset({"RegisterVersion", "AddDevice", "RevokeDevice"})
FAILED = 1


@app.command
def propose(
    kind: str,
    *,
    file: Annotated[
        Path, Parameter(help="Where the motion is written, to be handed to the others.")
    ],
    key: Keystore,
    place: Place | None = None,
    asset: str = "",
    seats: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (),
    host: int = 0,
    safety: int = 0,
    ratify_hours: int = 24,
    emergency_cap: int = 0,
    emergency_max: int = 0,
    detector: str = "",
    device: str = "",
    organisation: int = 0,
    address: str = "",
    proofs: Path | None = None,
    days: int = 7,
) -> None:
    """Word a motion, vote for it, and write it to a file.

    Parameters
    ----------
    kind:
        AddOrganisation, Expel, RegisterVersion, AddDetector, RevokeDetector, AddDevice,
        RevokeDevice, AddBuilder, RemoveBuilder, Recover, ListOrders.
    asset:
        Name of the machine, `<host>/<name>` (RegisterVersion, AddDevice, RevokeDevice).
    seats:
        Organisations that must approve its orders (RegisterVersion).
    host:
        The organisation that runs the machine (RegisterVersion).
    safety:
        The safety authority, 0 if none (RegisterVersion); with the periods and caps below.
    detector:
        64 hex digits (AddDetector, RevokeDetector).
    device:
        64 hex digits: SHA-256 of its public key (AddDevice, RevokeDevice).
    organisation:
        Its number (Expel).
    address:
        0x… (RemoveBuilder; ListOrders: default the orders contract of the deployment file).
    proofs:
        What `mol key prove` wrote: new keys and the proof that they are held (AddOrganisation,
        AddBuilder, Recover).
    """
    terms = {
        "asset": asset, "seats": seats, "host": host, "safety": safety,
        "ratify_period": ratify_hours * 3600, "emergency_cap": emergency_cap,
        "emergency_max": emergency_max, "detector": detector, "device": device,
        "organisation": organisation, "address": address, "proofs": proofs,
    }  # fmt: skip
    item = uvloop.run(_propose(kind, terms, days, key, place or Place()))
    named = {"asset": asset} if kind in OF_MACHINES else {}
    text = json_library.dumps({**item.as_json(), **named}, indent=2)
    file.write_text(text + "\n", encoding="utf-8")
    print(f"voted; written to {file}: let the others run `mol motion approve {file}`")


@app.command
def approve(file: Path, *, key: Keystore, place: Place | None = None, yes: Yes = False) -> int:
    """Show a motion, decoded here, and ask; then vote for it with a governance key.

    Parameters
    ----------
    file:
        The motion, as its proposer wrote it.
    """
    item, lines = _read(file)
    print(f"motion {item.kind}, expires {motions.moment(item.expires)}")
    for line in lines:
        print(f"  {line}")
    if not yes and not confirmed("Vote for it?"):
        print("Nothing was signed.", file=sys.stderr)
        return FAILED
    print(uvloop.run(_approve(item, key, place or Place())))
    return 0


@app.command(name="list")
def list_(place: Place | None = None, *, json: Json = False) -> None:
    """List motions from the chain, with their votes."""
    found = uvloop.run(_list(place or Place()))
    if json:
        as_json(found)
        return
    rows = [[m["kind"], m["state"], m["votes"], short(m["motion"]), m["block"]] for m in found]
    table("Motions", ("kind", "state", "votes", "motion", "block"), rows)


def _read(file: Path) -> tuple[Motion, list[str]]:
    """Return a motion and what it says. Raise ConfigError if its file says something else."""
    fields = read_json(file, "motion", "`mol motion propose` writes it")
    with as_wrong_use():
        item = Motion.from_json(fields)
        return item, motions.describe(item, str(fields.get("asset", "")))


async def _propose(
    kind: str, terms: dict[str, Any], days: int, key: Keystore, place: Place
) -> Motion:
    if kind not in KINDS:
        raise errors.ConfigError("No such kind of motion.", found=kind, expected=list(KINDS))
    async with place.open() as ledger, place.account(key.open()) as account:
        with as_wrong_use():
            if kind in PROVEN:
                arguments = await _proven(kind, terms["proofs"], ledger.deployment, account)
            else:
                arguments = await _arguments(kind, terms, ledger)
        item = consortium.motion(kind, *arguments, lifetime=days * 24 * 3600)
        await account.do(ledger.deployment.consortium, item.calldata("vote"))
    return item


async def _arguments(kind: str, terms: dict[str, Any], ledger: Any) -> tuple[Any, ...]:
    match kind:
        case "RegisterVersion":
            asset = ids.asset_id(terms["asset"])
            current = await ledger.current_version(asset)
            version = VersionTerms(
                asset,
                terms["seats"],
                terms["host"],
                terms["safety"],
                current.id if current else bytes(32),
                terms["ratify_period"],
                terms["emergency_cap"],
                terms["emergency_max"],
            )
            return (version.as_tuple(),)
        case "AddDetector" | "RevokeDetector":
            return (ids.parse32(terms["detector"]),)
        case "AddDevice" | "RevokeDevice":
            return ids.asset_id(terms["asset"]), ids.parse32(terms["device"])
        case "Expel":
            return (terms["organisation"],)
        case "ListOrders" if not terms["address"]:
            return (ids.checksum(ledger.deployment.orders),)
    return (ids.checksum(ids.parse_address(terms["address"])),)


async def _proven(
    kind: str, file: Path | None, deployment: Deployment, account: Account
) -> tuple[Any, ...]:
    """Return the arguments of a motion about new keys; what cannot pass is not put to the vote."""
    if file is None:
        raise errors.ConfigError("It needs --proofs, which `mol key prove` writes.", found=kind)
    held = Possession.load(file, deployment)
    keys, proofs = held.of(*PROVEN[kind])
    ask = partial(consortium.view, account, deployment.consortium)
    for key in keys:
        if await ask("roleOf", key):
            raise errors.ConfigError("The key has, or had, a role already; make another.", key=key)
    given = await ask("organisations")
    if kind == "AddOrganisation" and held.number != given + 1:
        raise errors.ConfigError(
            "Another number is next; prove the keys for that.",
            found=held.number,
            expected=given + 1,
        )
    if kind != "AddOrganisation" and not await ask("members") >> held.number & 1:
        raise errors.ConfigError("No such member.", found=held.number)
    if kind == "AddBuilder":
        return keys[0], held.number, proofs[0]
    return (keys, proofs) if kind == "AddOrganisation" else (held.number, keys, proofs)


async def _approve(item: Motion, key: Keystore, place: Place) -> str:
    async with place.open() as ledger, place.account(key.open()) as account:
        await account.do(ledger.deployment.consortium, item.calldata("vote"))
        done = await motions.history(ledger.ask, ledger.deployment)
    return next((str(m["state"]) for m in done if m["salt"] == item.salt.hex()), "voted")


async def _list(place: Place) -> list[dict[str, Any]]:
    async with place.open() as ledger:
        return await motions.history(ledger.ask, ledger.deployment)
