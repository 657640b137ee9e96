"""`mol network`: make, start, stop and examine a network of nodes on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ledger_service.domain import errors
from validators.network import containers, control
from validators.network.files import FILE_NAME, Kind, Network
from validators.network.layout import CHAIN_ID, Wanted, create

app = App(
    name="network",
    help="""Make, start, stop and examine a network of nodes on this machine.

    Example: `mol network new --kind clique --dir build/net && mol network start --dir build/net`
    """,
)
FAILED = 1
Json = Annotated[bool, Parameter("--json", negative="", help="Print JSON.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Which network.

    Parameters
    ----------
    dir:
        The network's folder.
    kind:
        clique: real geth 1.13 signers, built once with Go. qbft: Besu >= 26.8 or GoQuorum, the
        production target. embedded: one process, no network, gas is free. Default: clique.
    validators:
        How many nodes; qbft needs 4. Default: 4.
    period:
        Seconds between blocks; 0: a block when something waits (one clique signer, embedded).
        Default: 1, embedded 0.
    node:
        The program of the nodes; else MOL_BESU, `besu` on PATH, MOL_GOQUORUM, or the built geth.
    fund:
        Addresses that hold ether from the beginning. Clique needs it: gas costs one wei.
    chain_id:
        The chain id, which every signature is bound to. Default: 1337.
    hosts:
        With `new --kind qbft`: IPv4 addresses of containers, one Besu validator each; see
        docker-compose.yml. Nothing runs on this machine then.
    """

    dir: Path = Path("build/network")
    kind: Kind | None = None
    validators: int | None = None
    period: float | None = None
    node: str | None = None
    fund: Annotated[list[str], Parameter(consume_multiple=True, negative="")] = field(
        default_factory=list
    )
    chain_id: int | None = None
    hosts: Annotated[list[str], Parameter(consume_multiple=True, negative="")] = field(
        default_factory=list
    )

    def wanted(self) -> Wanted:
        """Return the network to make, defaults filled in."""
        kind = self.kind or "clique"
        single = 0.0 if kind == "embedded" else 1.0
        return Wanted(
            kind=kind,
            validators=4 if self.validators is None else self.validators,
            period=single if self.period is None else self.period,
            chain_id=CHAIN_ID if self.chain_id is None else self.chain_id,
            fund=self.fund,
            node=self.node,
        )

    def check(self) -> None:
        """Raise BadNetwork if the folder holds another network than the one described."""
        found = Network.load(self.dir)
        pairs = {
            "kind": (self.kind, found.kind),
            "period": (self.period, found.block_period),
            "chain id": (self.chain_id, found.chain_id),
            "validators": (self.validators if found.validators else None, len(found.validators)),
        }
        for name, (expected, there) in pairs.items():
            if expected not in {None, there}:
                text = f"The folder holds a network with another {name}."
                raise errors.BadNetwork(text, found=there, expected=expected)


HERE = Options()


@app.command
async def new(options: Options = HERE, *, json_: Json = False) -> None:
    """Make keys, genesis and configuration in an empty folder, and DIR/network.json; start nothing."""
    if options.hosts:
        wanted = options.wanted()
        network = containers.create(
            options.dir, options.hosts, chain_id=wanted.chain_id, period=int(wanted.period)
        )
    else:
        network = await create(options.dir, options.wanted(), _tell)
    _show(network, options.dir, as_json=json_)


@app.command
async def start(options: Options = HERE, *, json_: Json = False) -> None:
    """Start the nodes that are down and wait until blocks flow. They outlive this command.

    Where there is no network yet and --kind is given, it is made first.
    """
    if options.kind is not None and not (options.dir / FILE_NAME).exists():
        await create(options.dir, options.wanted(), _tell)
    options.check()
    _show(await control.start(options.dir, _tell), options.dir, as_json=json_)


@app.command
async def stop(options: Options = HERE, *, json_: Json = False) -> None:
    """Stop the nodes."""
    options.check()
    stopped = await control.stop(options.dir)
    print(json.dumps({"stopped": stopped}) if json_ else f"stopped: {', '.join(stopped) or 'none'}")


@app.command
async def status(options: Options = HERE, *, json_: Json = False) -> int:
    """Show each node's height, peers and agreement; exit 1 if the network is not healthy."""
    options.check()
    health = await control.health(options.dir)
    if json_:
        print(json.dumps(asdict(health), indent=1))
    else:
        for node in health.nodes:
            print(_line(node))
        print("healthy" if health.healthy else f"NOT healthy: {health.reason}")
    return 0 if health.healthy else FAILED


def _line(node: control.NodeHealth) -> str:
    if not node.up:
        return f"{node.name:10} down"
    age = "-" if node.last_block_age is None else f"{node.last_block_age:.1f} s ago"
    agreement = "agrees" if node.agrees else "DISAGREES"
    return f"{node.name:10} up    height {node.height}  peers {node.peers}  {agreement}  last block {age}"


def _show(network: Network, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(network.to_json(), indent=1))
        return
    size = f"{len(network.nodes)} x {network.software}, chain {network.chain_id}"
    print(f"{network.kind}: {size}, {folder / 'network.json'}")
    if network.note:
        print(network.note)
    for node in network.nodes:
        print(f"  {node.name:10} {node.rpc}  {node.ws}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
