from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from ledger_service.domain import dataset
from tests.integration.api.http import BOUNDARY, MULTIPART, multipart
from tests.integration.api.process import AUTH, Process
from tests.unit.services.gateway import Gateway, Packed

MIB = 1024 * 1024
SMALL, LARGE = 8, 256
HEADERS = {**AUTH, "Content-Type": MULTIPART}
PATH = "samples.bin"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with Process(tmp_path_factory.mktemp("streaming")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway()


def large(gateway: Gateway, mebibytes: int) -> Packed:
    """Return a statement over one file that is never held whole: the same MiB again and again."""
    hasher = dataset.FileHasher(dataset.MIB)
    for number in range(mebibytes):
        hasher.update(block(number))
    entry = dataset.Entry(PATH, hasher.size, "application/octet-stream", dataset.MIB, hasher.root())
    return gateway.pack({PATH: b""}, entries=(entry,), dataset_root=dataset.dataset_root([entry]))


def block(number: int) -> bytes:
    return number.to_bytes(8, "big") * (MIB // 8)


def body(packed: Packed, mebibytes: int) -> Iterator[bytes]:
    """Yield the upload."""
    head, _, tail = multipart(packed.envelope, [(PATH, b"<>")]).partition(b"<>")
    yield head
    for number in range(mebibytes):
        yield block(number)
    yield tail


def upload(api: Process, packed: Packed, mebibytes: int) -> httpx.Response:
    return httpx.post(
        f"{api.url}/v1/evidence", content=body(packed, mebibytes), headers=HEADERS, timeout=120
    )


def settled(api: Process) -> list[str]:
    """Return what is stored when the server had time to notice."""
    for _ in range(100):
        if not [name for name in api.stored() if name.startswith("staging")]:
            break
        time.sleep(0.05)
    return api.stored()


def test_a_large_upload_takes_no_more_memory_than_a_small_one(
    api: Process, gateway: Gateway
) -> None:
    assert upload(api, large(gateway, SMALL), SMALL).status_code == 202
    before = api.peak_memory()

    answer = upload(api, packed := large(gateway, LARGE), LARGE)

    assert answer.status_code == 202, answer.text
    grown = (api.peak_memory() - before) / MIB
    print(f"{LARGE} MiB over {SMALL} MiB: {grown:.0f} MiB more at the peak")  # noqa: T201  a figure to read
    assert grown < 64
    assert (api.folder / "objects" / f"files/{packed.claim.entries[0].root.hex()}-{MIB}").exists()


def test_evidence_that_is_known_is_answered_though_its_body_is_long(
    api: Process, gateway: Gateway
) -> None:
    packed = large(gateway, SMALL + 10)
    assert upload(api, packed, SMALL + 10).status_code == 202

    assert [upload(api, packed, SMALL + 10).status_code for _ in range(3)] == [200] * 3


def test_a_part_that_goes_on_beyond_its_statement_is_cut_off_and_leaves_nothing(
    api: Process, gateway: Gateway
) -> None:
    packed = large(gateway, SMALL + 1)
    before, held = api.peak_memory(), api.stored()

    try:
        answer = upload(api, packed, LARGE)
    except httpx.WriteError:
        answer = None  # the server answered and hung up before all was sent

    assert answer is None or answer.json()["code"] == "EV03"
    assert (api.peak_memory() - before) / MIB < 64
    assert settled(api) == held
    assert upload(api, packed, SMALL + 1).status_code == 202


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_connection_cut_in_the_middle_leaves_nothing(
    api: Process,
    gateway: Gateway,
    chunked: bool,  # noqa: FBT001  two kinds
) -> None:
    size = SMALL + 2 + chunked
    packed, held = large(gateway, size), api.stored()
    whole = b"".join(body(packed, size))
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(whole)}"
    head = f"POST /v1/evidence HTTP/1.1\r\nHost: mol\r\n{length}\r\nContent-Type: {MULTIPART}\r\n"
    auth = f"Authorization: {AUTH['Authorization']}\r\n\r\n"
    sent = whole[: len(whole) // 2]
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall((head + auth).encode())
        connection.sendall(b"%x\r\n%b" % (len(whole), sent) if chunked else sent)
        time.sleep(0.3)  # so that some of it is on its way to the disk

    assert settled(api) == held
    place = f"{api.url}/v1/evidence/{packed.id.hex()}"
    assert httpx.get(place, headers=AUTH).status_code == 404
    assert "Traceback" not in api.log
    assert upload(api, packed, size).status_code == 202


def test_a_body_without_a_token_is_refused_before_it_is_sent(api: Process) -> None:
    held = api.stored()
    head = f"POST /v1/evidence HTTP/1.1\r\nHost: mol\r\nContent-Length: {10 * LARGE * MIB}\r\n"
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(f"{head}Content-Type: {MULTIPART}\r\n\r\n--{BOUNDARY}".encode())
        connection.settimeout(20)
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert api.stored() == held
