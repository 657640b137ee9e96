"""A stand-in for the service as an agent sees it: the feed, bytes, results; over real HTTP.

It keeps what it was given in memory, so agents may be killed and it tells them the same again.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from validators.rules.case import Announced

LONGEST_WAIT = 0.5
STEP = 0.02


@dataclass
class Feed:
    """What the service has. `told` False: the feed is silent about orders, their bytes are there."""

    url: str = ""
    token: str = "mol_secret_of_the_organisation"
    lines: list[dict[str, Any]] = field(default_factory=list)
    envelopes: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)

    def add(self, item: Announced, files: dict[str, bytes], *, told: bool = True) -> None:
        evidence = item.content.evidence.hex()
        self.envelopes[evidence] = item.envelope
        self.documents[item.order.hex()] = item.document
        self.files |= {(evidence, path): data for path, data in files.items()}
        if told:
            self.lines.append(line(item))

    def answer(self, path: str, query: dict[str, list[str]]) -> bytes | None:
        match path.split("/", 5)[2:]:
            case ["feed"]:
                return self._page(int(query["after"][0]), float(query["wait"][0]))
            case ["evidence", evidence, "envelope"]:
                return self.envelopes.get(evidence)
            case ["evidence", evidence, "files", name]:
                return self.files.get((evidence, unquote(name)))
            case ["orders", order] if order in self.documents:
                document = base64.b64encode(self.documents[order]).decode()
                return json.dumps({"document": document}).encode()
        return None

    def _page(self, after: int, wait: float) -> bytes:
        deadline = time.monotonic() + min(wait, LONGEST_WAIT)
        while len(self.lines) <= after and time.monotonic() < deadline:
            time.sleep(STEP)
        items = [{"sequence": at, **line} for at, line in enumerate(self.lines, 1) if at > after]
        return json.dumps({"items": items, "next": len(self.lines)}).encode()


def line(item: Announced) -> dict[str, Any]:
    body = {
        "content": item.content.as_json(),
        "document": base64.b64encode(item.document).decode(),
        "envelope": base64.b64encode(item.envelope).decode(),
    }
    return {"kind": "order", "order": item.order.hex(), "body": body}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    feed: ClassVar[Feed]

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {self.feed.token}":
            self._say(401, b"{}")
            return
        found = self.feed.answer(target.path, parse_qs(target.query))
        self._say(200 if found is not None else 404, found or b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for item in body["results"]:
            self.feed.results[item["order"]] = base64.b64decode(item["document"])
        kept = [{"order": item["order"], "kept": True} for item in body["results"]]
        self._say(200, json.dumps({"results": kept}).encode())

    def _say(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the agent was killed while it listened
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing."""


@contextmanager
def serving(feed: Feed) -> Iterator[Feed]:
    """Serve on a free port of loopback."""
    handler = type("Handler", (_Handler,), {"feed": feed})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    feed.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield feed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
