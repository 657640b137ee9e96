"""Nodes that answer what real ones were recorded to answer: JSON-RPC over HTTP and WebSocket.

`Replay.moment` is where in the recording the nodes stand: the last answer up to it is given. What
was not asked in just these words is put together from what was (a block asked with another flag, a
proof of two slots of which one is wanted); the rest is not recorded, and `missing` tells.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import ids

NETWORKS = ("besu-qbft", "goquorum-qbft", "geth-clique", "geth-clique/fork-5-signers")
PARTS = ("orders", "errors", "consensus", "fork")
END = (len(PARTS), 0)

Moment = tuple[int, int]
#: A quantity, and no hash.
SHORT = 20


@dataclass(frozen=True)
class Line:
    """An exchange, or a frame that was pushed (`request` is None)."""

    at: Moment
    node: int
    request: dict[str, Any] | None
    response: Any
    note: str

    @property
    def method(self) -> str:
        return str((self.request or {}).get("method"))


def data_folder() -> Path:
    """Return the folder of the recordings. Skip without it."""
    place = os.environ.get("MOL_TEST_DATA")
    if not place or not (Path(place) / "chain").is_dir():
        pytest.skip("MOL_TEST_DATA does not name a folder with recordings of real networks")
    return Path(place) / "chain"


def read_lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    for path in (folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"):
        if path.exists():
            packed = path.read_bytes()
            text = gzip.decompress(packed) if path.suffix == ".gz" else packed
            yield from map(json.loads, text.splitlines())


def key_of(method: str, parameters: Any) -> str:
    return f"{method} {json.dumps(parameters, sort_keys=True)}".lower()


def head_of(line: Line) -> dict[str, Any] | None:
    """Return the block of a newHeads frame."""
    if line.request or "params" not in line.response:
        return None
    result: dict[str, Any] = line.response["params"]["result"]
    return result if "parentHash" in result else None


class Recording:
    """One network's exchanges, by node and by what was asked."""

    def __init__(self, folder: Path) -> None:
        self.network: dict[str, Any] = json.loads((folder / "network.json").read_text())
        self.outcomes: dict[str, Any] = json.loads((folder / "outcomes.json").read_text())
        self.verification: dict[str, Any] = json.loads((folder / "verification.json").read_text())
        self.abi: list[dict[str, Any]] = json.loads((folder / "abi.json").read_text())
        self.lines = [line for name in PARTS for line in self._part(folder, name)]
        self.frames = [line for name in PARTS for line in self._part(folder, f"{name}_ws")]
        self.by_key: dict[tuple[int | None, str], list[Line]] = defaultdict(list)
        self.blocks: dict[str, list[tuple[Moment, int, dict[str, Any]]]] = defaultdict(list)
        for line in self.frames:
            head = head_of(line)
            if head is not None:
                self.blocks[head["number"]].append((line.at, line.node, head))
        for line in self.lines:
            self._index(line)
        self.keys = {key for _, key in self.by_key}

    def _part(self, folder: Path, name: str) -> Iterator[Line]:
        part = PARTS.index(name.removesuffix("_ws"))
        for line in read_lines(folder, name):
            if line["transport"] == ("ws" if name.endswith("_ws") else "http"):
                at = (part, line["t"])
                note = line.get("note") or ""
                yield Line(at, line["node"], line["request"], line["response"], note)

    def _index(self, line: Line) -> None:
        if not line.request or "params" not in line.request:
            return
        key = key_of(line.method, line.request["params"])
        self.by_key[line.node, key].append(line)
        self.by_key[None, key].append(line)
        found = line.response.get("result") if isinstance(line.response, dict) else None
        if line.method == "eth_getBlockByNumber" and isinstance(found, dict) and found["hash"]:
            self.blocks[found["number"]].append((line.at, line.node, found))

    def asked(self, method: str, node: int | None = None) -> Iterator[Line]:
        """Yield the exchanges of a method."""
        for line in self.lines:
            if line.method == method and node in {None, line.node}:
                yield line

    def heads(self, node: int) -> list[dict[str, Any]]:
        """Return the newHeads frames that a node pushed."""
        heads = (head_of(line) for line in self.frames if line.node == node)
        return [head for head in heads if head is not None]

    @property
    def contract(self) -> ids.Address:
        return ids.parse_address(self.network["contract"])


@cache
def recording(name: str) -> Recording:
    """Read a network's recording, once. Skip without the data."""
    return Recording(data_folder() / name)


@dataclass
class Replay:
    """A recording that is being served."""

    recording: Recording
    url: str
    moment: Moment = END
    missing: list[str] = field(default_factory=list)

    def settings(self, *nodes: int) -> ChainSettings:
        """Return a client's settings, for some nodes or all, in this order."""
        clique = "clique" in self.recording.network["kind"]
        signers = sum(node["validator_in_genesis"] for node in self.recording.network["nodes"])
        chosen = nodes or tuple(node["node"] for node in self.recording.network["nodes"])
        return ChainSettings(
            kind="clique" if clique else "qbft",
            chain_id=self.recording.network["chain_id"],
            rpc=tuple(f"{self.url}/{node}" for node in chosen),
            ws=tuple(f"{self.url.replace('http', 'ws')}/ws/{node}" for node in chosen),
            finality_depth=signers // 2 + 1 if clique else 0,
            period=1,
            fees=(("gasPrice", 0),),
        )

    def deployment(self) -> Deployment:
        """Return what the client is told of the contracts; the recorded one is a prototype."""
        genesis = self.recording.blocks["0x0"][0][2]["hash"]
        return Deployment(
            chain_id=self.recording.network["chain_id"],
            genesis=bytes.fromhex(genesis[2:]),
            consortium=ids.Address(bytes(20)),
            orders=self.recording.contract,
            block=self.recording.network["deploy_block"],
        )

    # ---- answers

    def answer(self, node: int, method: str, parameters: Any) -> dict[str, Any]:
        """Return the recorded answer (`result` or `error`)."""
        if method == "eth_getBlockByNumber" and parameters[0] == "latest":
            return {"result": self._newest(node)}
        key = key_of(method, parameters)
        line = self._latest(self.recording.by_key.get((node, key), []))
        line = line or self._made(method, parameters)
        line = line or self._latest(self.recording.by_key.get((None, key), []))
        if line is None and method == "eth_getTransactionReceipt" and key in self.recording.keys:
            line = {"result": None}  # asked for the first time later on
        if line is not None:
            return {k: v for k, v in line.items() if k in {"result", "error"}}
        self.missing.append(key)
        return {"error": {"code": -1, "message": "not recorded"}}

    def _latest(self, lines: list[Line]) -> dict[str, Any] | None:
        past = [line for line in lines if line.at <= self.moment]
        found: dict[str, Any] | None = past[-1].response if past else None
        return found

    def _made(self, method: str, parameters: Any) -> dict[str, Any] | None:
        match method:
            case "eth_chainId":
                return {"result": hex(self.recording.network["chain_id"])}
            case "eth_getBlockByNumber" if parameters[0].startswith("0x"):
                # The last answer of all is the chain that stayed.
                told = self.recording.blocks.get(parameters[0])
                return {"result": told[-1][2] if told else None}
            case "eth_getBlockByHash":
                blocks = self.recording.blocks.values()
                told = [it for at in blocks for it in at if it[2]["hash"] == parameters[0]]
                whole = [it for it in told if "transactions" in it[2]]
                return {"result": (whole or told)[-1][2] if told else None}
            case "eth_getProof":
                return self._proof(*parameters)
            case "eth_getLogs" if "blockHash" in parameters[0]:
                return self._logs(parameters[0])
            case "eth_getBlockReceipts" if len(parameters[0]) > SHORT:
                return self._receipts(parameters[0])
        return self._missing_method(method)

    def _newest(self, node: int) -> dict[str, Any]:
        """Return the highest block that this node had told of; any node, if it told of none."""
        told = [each for blocks in self.recording.blocks.values() for each in blocks]
        seen = [(teller, fields) for at, teller, fields in told if at <= self.moment]
        own = [fields for teller, fields in seen if teller == node]
        both = own or [fields for _, fields in seen]
        return max(both, key=lambda fields: int(fields["number"], 16))

    def _proof(self, address: str, slots: list[str], block: str) -> dict[str, Any] | None:
        for line in self.recording.asked("eth_getProof"):
            found = line.response.get("result")
            if not found:
                continue
            asked_of, asked, *at = (line.request or {})["params"]
            if asked_of == address.lower() and at == [block] and slots[0] in asked:
                kept = found["storageProof"][asked.index(slots[0])]
                return {"result": {**found, "storageProof": [kept]}}
        return None

    def _logs(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        receipts = {
            line.response["result"]["transactionHash"]: line.response["result"]
            for line in self.recording.asked("eth_getTransactionReceipt")
            if (line.response.get("result") or {}).get("blockHash") == wanted["blockHash"]
        }
        logs = [log for receipt in receipts.values() for log in receipt["logs"]]
        address = wanted["address"].lower()
        return {"result": [log for log in logs if log["address"].lower() == address]}

    def _receipts(self, block: str) -> dict[str, Any] | None:
        """Return a block's receipts from where they were asked for by its number, or one by one."""
        told = [each for blocks in self.recording.blocks.values() for _, _, each in blocks]
        fields = next((each for each in told if each["hash"] == block), None)
        if fields is None or (missing := self._missing_method("eth_getBlockReceipts")):
            return missing if fields else None
        key = key_of("eth_getBlockReceipts", [fields["number"]])
        whole = self._latest(self.recording.by_key.get((None, key), []))
        if whole and whole.get("result"):
            return whole
        singly = {
            int(line.response["result"]["transactionIndex"], 16): line.response["result"]
            for line in self.recording.asked("eth_getTransactionReceipt")
            if (line.response.get("result") or {}).get("blockHash") == block
        }
        return {"result": [singly[index] for index in sorted(singly)]} if singly else None

    def _missing_method(self, method: str) -> dict[str, Any] | None:
        """Return the error of a method that this program does not have."""
        for line in self.recording.asked(method):
            error = line.response.get("error") if isinstance(line.response, dict) else None
            return dict(line.response) if error and error["code"] == -32601 else None
        return None


async def _http(request: web.Request) -> web.Response:
    replay: Replay = request.app[REPLAY]
    node, asked = int(request.match_info["node"]), await request.json()
    if isinstance(asked, list):
        return web.json_response([_answered(replay, node, each) for each in asked])
    return web.json_response(_answered(replay, node, asked))


def _answered(replay: Replay, node: int, asked: dict[str, Any]) -> dict[str, Any]:
    answer = replay.answer(node, asked["method"], asked["params"])
    return {"jsonrpc": "2.0", "id": asked["id"], **answer}


async def _websocket(request: web.Request) -> web.WebSocketResponse:
    """Serve one subscription: its answer with the caller's id, then every frame recorded of it."""
    replay, node = request.app[REPLAY], int(request.match_info["node"])
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        asked, name = message.json(), ""
        for line in replay.recording.frames:
            if line.node != node:
                continue
            if line.request and line.request.get("params") == asked["params"] and not name:
                name = line.response["result"]
                await socket.send_json({**line.response, "id": asked["id"]})
            elif name and not line.request and line.response["params"]["subscription"] == name:
                await socket.send_json(line.response)
    return socket


REPLAY = web.AppKey("replay", Replay)


@asynccontextmanager
async def serving(name: str) -> AsyncIterator[Replay]:
    """Serve a recording on a free port of loopback."""
    app = web.Application()
    app.router.add_post("/{node}", _http)
    app.router.add_get("/ws/{node}", _websocket)
    replay = app[REPLAY] = Replay(recording(name), "")
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        replay.url = f"http://{host}:{port}"
        yield replay
    finally:
        await runner.cleanup()
