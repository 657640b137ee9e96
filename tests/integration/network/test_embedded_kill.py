from __future__ import annotations

import contextlib
import random
import threading
import time
from pathlib import Path

from tests.peers.embedded import EmbeddedChain
from tests.peers.probe import CODE, Sender, set_call
from tests.peers.rpc import RpcFailed, rpc

KILLS = 5
BURST = 120


def hashes(url: str) -> dict[int, str]:
    height = int(rpc(url, "eth_blockNumber"), 16)
    return {n: rpc(url, "eth_getBlockByNumber", hex(n), False)["hash"] for n in range(height + 1)}


def offer(url: str, raws: list[str]) -> None:
    """Send all of them, whatever was sent before; stop when the node is gone."""
    with contextlib.suppress(OSError):
        for raw in raws:
            with contextlib.suppress(RpcFailed):
                rpc(url, "eth_sendRawTransaction", raw)


def watch(url: str, seen: dict[int, str], stop: threading.Event) -> None:
    """Note every head that the node shows."""
    with contextlib.suppress(OSError):
        while not stop.is_set():
            block = rpc(url, "eth_getBlockByNumber", "latest", False)
            seen[int(block["number"], 16)] = block["hash"]


def test_what_was_seen_is_there_after_kills_in_the_middle_of_bursts(tmp_path: Path) -> None:
    seed = time.time_ns()
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  moments of kills
    with EmbeddedChain(tmp_path / "chain") as chain:
        network = chain.network
        url = network.nodes[0].rpc
        sender = Sender(network.chain_id, network.fee_policy)
        raws = [sender.sign(None, bytes.fromhex(CODE), gas=1_000_000)]
        seen: dict[int, str] = {}
        for _ in range(KILLS):
            raws += [sender.sign("0x" + "11" * 20, set_call(n, n)) for n in range(BURST)]
            stop = threading.Event()
            threads = [
                threading.Thread(target=offer, args=(url, raws)),
                threading.Thread(target=watch, args=(url, seen, stop)),
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.02, 0.6))
            chain.end()
            stop.set()
            for thread in threads:
                thread.join()
            chain.start()
            found = hashes(url)
            assert {n: found.get(n) for n in seen} == seen

        offer(url, raws)
        while int(rpc(url, "eth_getTransactionCount", sender.address, "latest"), 16) < len(raws):
            time.sleep(0.02)

        before = hashes(url)
        chain.end()
        chain.start()
        assert hashes(url) == before
