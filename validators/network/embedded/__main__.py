"""`python -m validators.network.embedded --dir D --port P`: the embedded chain as a process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# eth-hash takes the first keccak it finds; this one is the fastest.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import uvicorn

from ledger_service.domain import errors
from validators.network.embedded.blocklog import BlockLog
from validators.network.embedded.genesis import CHAIN_ID, FILE_NAME, Genesis
from validators.network.embedded.machine import Machine
from validators.network.embedded.node import Node as EmbeddedNode
from validators.network.embedded.server import make_app
from validators.network.files import FREE, NOT_A_NETWORK, Network, Node

if TYPE_CHECKING:
    from starlette.applications import Starlette

LOG_NAME = "blocks.log"
WRONG_USE = 2
log = logging.getLogger("embedded")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Return 0, 1 (failed) or 2 (wrong use)."""
    options = _options().parse_args(arguments)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        return asyncio.run(_serve(options))
    except errors.LedgerError as exc:
        log.error("%s %s", exc.code, exc)  # noqa: TRY400  the message is whole without the stack
        return WRONG_USE if isinstance(exc, errors.ConfigError) else 1


async def _serve(options: argparse.Namespace) -> int:
    folder: Path = options.dir
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  nothing else runs yet
    with _alone(folder), _listener(_port(options)) as listener:
        node = EmbeddedNode(_open(folder, options), options.period)
        network = _describe(node, options.period, listener.getsockname()[1])
        network.save(folder)
        log.info("%s Block %d at %s", NOT_A_NETWORK, node.head.number, network.nodes[0].rpc)
        return await _until_stopped(node, make_app(node), listener)


async def _until_stopped(node: EmbeddedNode, app: Starlette, listener: socket.socket) -> int:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws_max_size=16 * 2**20,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    miner = asyncio.create_task(node.run())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait([miner, serving], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    failed = miner.done() and not miner.cancelled() and miner.exception()
    if failed:
        log.critical("block making failed", exc_info=failed)
    miner.cancel()
    await asyncio.gather(miner, return_exceptions=True)
    node.close()
    return 1 if failed else 0


def _open(folder: Path, options: argparse.Namespace) -> Machine:
    genesis = Genesis.load_or_make(folder, options.chain_id, options.fund)
    block_log = BlockLog(folder / LOG_NAME)
    machine = Machine(genesis, block_log)
    if block_log.cut:
        log.warning("cut a torn block of %d bytes off the log: it was never seen", block_log.cut)
    return machine


def _describe(node: EmbeddedNode, period: float, port: int) -> Network:
    at = f"127.0.0.1:{port}"
    return Network(
        kind="embedded",
        software="embedded",
        chain_id=node.machine.genesis.chain_id,
        block_period=period,
        finality_depth=0,
        nodes=(Node(name="embedded", rpc=f"http://{at}", ws=f"ws://{at}", validator=False),),
        validators=(),
        genesis_digest="0x" + node.machine.blocks[0].hash.hex(),
        genesis_file=FILE_NAME,
        fee_policy=FREE,
        note=NOT_A_NETWORK,
    )


def _port(options: argparse.Namespace) -> int:
    """Return the wanted port; 0 keeps the one of the last run, so that clients find it again."""
    if options.port:
        return int(options.port)
    with contextlib.suppress(errors.BadNetwork, ValueError, IndexError):
        return int(Network.load(options.dir).nodes[0].rpc.rsplit(":", 1)[1])
    return 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it goes with the process, however that ends. Raise InUse."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise errors.InUse(folder=folder) from exc
        yield


@contextlib.contextmanager
def _listener(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as exc:
            raise errors.NodeFailed(str(exc), port=port) from exc
        yield listener


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("validators.network.embedded", description=NOT_A_NETWORK)
    parser.add_argument(
        "--dir", type=Path, required=True, help="the chain's folder, made if needed"
    )
    parser.add_argument("--port", type=int, default=0, help="0: the last one, or a free one")
    parser.add_argument("--period", type=float, default=0.0, help="seconds; 0: at once")
    parser.add_argument("--chain-id", type=int, default=CHAIN_ID)
    parser.add_argument("--fund", action="append", default=[], metavar="ADDRESS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
