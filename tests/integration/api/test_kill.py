from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.integration.api.http import MULTIPART, multipart, serving
from tests.integration.api.process import AUTH, Process
from tests.unit.services.crash import Crash, Doom
from tests.unit.services.gateway import Gateway, Packed
from tests.unit.services.site import Site

ROUNDS = 4
SEED = 20261124
MIB = 1024 * 1024


@dataclass
class Poster:
    """A gateway that posts one after the other, and again what had no answer, like a real one."""

    url: str
    gateway: Gateway
    made: list[Packed] = field(default_factory=list)
    answered: list[Packed] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            if len(self.made) == len(self.answered):
                files = {"samples.csv": b"%d" % len(self.made) * 5000, "same": b"same"}
                self.made.append(self.gateway.pack(files))
            try:
                if self.post(self.made[-1]) in {200, 202}:
                    self.answered.append(self.made[-1])
            except httpx.TransportError:
                time.sleep(0.05)

    def post(self, packed: Packed) -> int:
        body = multipart(packed.envelope, list(packed.files.items()))
        headers = {**AUTH, "Content-Type": MULTIPART}
        answer = httpx.post(f"{self.url}/v1/evidence", content=body, headers=headers)
        return answer.status_code


@pytest.mark.timeout(240)
def test_what_was_answered_is_never_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    print(f"seed {SEED}")  # noqa: T201  so that a failure can be had again
    moments = random.Random(SEED)  # noqa: S311  no secret
    with Process(tmp_path) as api:
        poster = Poster(api.url, Gateway())
        thread = threading.Thread(target=poster.run)
        thread.start()
        for _ in range(ROUNDS):
            time.sleep(moments.uniform(0.02, 0.4))
            api.end()
            api.start()
        time.sleep(0.3)
        poster.stop.set()
        thread.join(30)

        assert len(poster.answered) > ROUNDS / 2
        check_all_there(api, poster.answered)
        for packed in poster.made:
            assert poster.post(packed) in {200, 202}
        listed = httpx.get(f"{api.url}/v1/evidence?limit=500", headers=AUTH).json()
        assert len(listed) == len(poster.made)


async def test_sealing_may_end_at_any_step_on_a_real_database_and_a_real_folder(
    tmp_path: Path,
) -> None:
    at = 0
    async with serving(tmp_path) as api:
        while True:
            packed = api.world.gateway.pack({"a": b"%d" % at, "same": b"same"})
            try:
                await Site(api.world, doom=Doom(at)).post(packed)
                break
            except Crash:
                at += 1
            assert (await api.post(packed)).status_code in {200, 202}
            assert (await api.post(packed)).status_code == 200
            opened = await api.site.fetch.file(packed.id, "a")
            assert b"".join([chunk async for chunk in opened.chunks]) == packed.files["a"]
        assert at > 10
        api.world.clock.advance(days=2)
        await api.site.seal.tidy()
        assert not [name for name in api.stored() if not name.startswith("files/")]


async def test_an_upload_that_a_kill_tore_is_cleared_away_a_day_later(tmp_path: Path) -> None:
    with Process(tmp_path) as api:
        packed = Gateway().pack({"samples.bin": bytes(20 * MIB)})
        whole = multipart(packed.envelope, list(packed.files.items()))
        head = f"POST /v1/evidence HTTP/1.1\r\nHost: mol\r\nContent-Length: {len(whole)}\r\n"
        head += f"Content-Type: {MULTIPART}\r\nAuthorization: {AUTH['Authorization']}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", api.port)) as connection:
            connection.sendall(head.encode() + whole[: len(whole) - MIB])
            deadline = time.monotonic() + 30
            while not api.stored() and time.monotonic() < deadline:  # noqa: ASYNC110  another process
                await asyncio.sleep(0.02)
            api.end()
        (torn,) = api.stored()
        assert torn.startswith("staging/")

    async with serving(tmp_path) as after:
        await after.site.seal.tidy()
        assert after.stored() == [torn]
        after.world.clock.advance(days=1, seconds=1)
        await after.site.seal.tidy()
        assert after.stored() == []


def check_all_there(api: Process, answered: list[Packed]) -> None:
    """Every byte of what was answered is served."""
    with httpx.Client(base_url=api.url, headers=AUTH) as client:
        for packed in answered:
            place = f"/v1/evidence/{packed.id.hex()}"
            assert client.get(place).json()["state"] == "Sealed"
            assert client.get(f"{place}/envelope").content == packed.envelope
            for path, data in packed.files.items():
                assert client.get(f"{place}/files/{path}").content == data
