from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from ledger_service.api.multipart import Body, Part, boundary_of
from ledger_service.domain import errors

B = b"--b\r\nContent-Disposition: form-data; "


async def stream(data: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]
    yield b""


async def read(data: bytes, sizes: list[int] | None = None) -> list[tuple[str, str, bytes]]:
    parts = Body(stream(data, sizes or []), b"b").parts()
    return [(part.name, part.filename, await part.read(10_000)) async for part in parts]


async def first(data: bytes) -> Part:
    return await anext(Body(stream(data, []), b"b").parts())


async def test_parts_come_out_as_they_went_in_wherever_the_network_cuts_them() -> None:
    seed = 7
    print(f"seed {seed}")  # noqa: T201  so that a failure can be had again
    cut = random.Random(seed)  # noqa: S311  no secret
    contents = [b"", b"x", b"\r\n--", b"\r\n--c", b"--b--", b"\r\n" * 50, bytes(range(256))]
    body = b"".join(
        B + b'name="file"; filename="f%d"\r\n\r\n' % at + data + b"\r\n"
        for at, data in enumerate(contents)
    )
    expected = [("file", f"f{at}", data) for at, data in enumerate(contents)]
    for _ in range(100):
        sizes = [cut.randint(1, 40) for _ in range(30)]
        assert await read(body + b"--b--\r\n", sizes) == expected


async def test_what_is_not_read_of_a_part_is_skipped() -> None:
    body = B + b'name="a"\r\n\r\n' + bytes(5000) + b"\r\n" + B + b'name="b"\r\n\r\nx\r\n--b--'
    parts = Body(stream(body, [100] * 50), b"b").parts()

    names = [part.name async for part in parts]

    assert names == ["a", "b"]


async def test_what_follows_the_end_is_not_read() -> None:
    body = B + b'name="a"\r\n\r\nx\r\n--b--\r\n' + B + b'name="b"\r\n\r\ny\r\n--b--\r\n'
    assert await read(body) == [("a", "", b"x")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'filename="a.csv"', "a.csv"),
        (b'filename="a%20b%2Fc.csv"', "a b/c.csv"),
        (b'filename="%C3%BC.csv"', "\u00fc.csv"),
        ('filename="\u00fc.csv"'.encode(), "\u00fc.csv"),
        (b'filename="\xff.csv"', "\udcff.csv"),
        (b'filename="%FF.csv"', "\udcff.csv"),
        (b"filename*=utf-8''other.csv; filename=\"a.csv\"", "a.csv"),
        (b"filename=a.csv", "a.csv"),
    ],
)
async def test_a_file_name_is_percent_decoded_and_what_is_no_utf_8_stays_visible(
    raw: bytes, expected: str
) -> None:
    body = B + b'name="file"; ' + raw + b"\r\n\r\n\r\n--b--"
    assert (await first(body)).filename == expected


@pytest.mark.parametrize(
    "head",
    [
        b"--b\r\nContent-Type: text/plain\r\n\r\n",
        b'--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n',
        B + b'name="a"\r\ncontent-disposition: form-data; name="b"\r\n\r\n',
        B + b'name="a"\r\nContent-Encoding: gzip\r\n\r\n',
        B + b'name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n',
        B + b'name="a"\r\n' + b"X: y\r\n" * 20 + b"\r\n",
        B + b'name="a"\r\nX: ' + b"y" * 9000 + b"\r\n\r\n",
        b"--c\r\n",
        b"--b\r\nno header at all\r\n\r\n",
    ],
)
async def test_a_part_that_two_readers_could_read_differently_is_refused(head: bytes) -> None:
    with pytest.raises(errors.BadMultipart):
        await read(head + b"x\r\n--b--")


@pytest.mark.parametrize("length", range(0, 60, 7))
async def test_a_body_that_ends_too_early_is_truncated_wherever_it_ends(length: int) -> None:
    body = B + b'name="a"\r\n\r\ncontent\r\n--b--'
    with pytest.raises(errors.TruncatedBody):
        await read(body[: min(length, len(body) - 3)])


async def test_a_small_part_has_a_limit() -> None:
    part = await first(B + b'name="a"\r\n\r\n' + bytes(11) + b"\r\n--b--")
    with pytest.raises(errors.TooLarge):
        await part.read(10)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=" + "x" * 71, None),
    ],
)
def test_a_boundary_has_one_to_seventy_characters(
    content_type: str, boundary: bytes | None
) -> None:
    if boundary is None:
        with pytest.raises(errors.BadMultipart):
            boundary_of(content_type)
    else:
        assert boundary_of(content_type) == boundary
