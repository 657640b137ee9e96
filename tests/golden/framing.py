"""Requests whose frame is wrong: multipart, encodings, types, JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.golden.build import (
    BOUNDARY,
    content,
    end,
    envelope_part,
    fields_of,
    part,
    plain,
    request,
    text,
    whole,
)
from tests.golden.statements import case
from tests.unit.services.gateway import Gateway

Pieces = list[Any]
#: 100 kB of zeros, gzip: a constant, because compressors differ.
BOMB = base64.b64decode(
    "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AIBXA32VEdSghgEA"
)


def framed(
    about: str, status: int, code: str, body: Callable[[Pieces, Pieces], Pieces], **options: str
) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case made of the parts: envelope, then both files."""

    def make() -> dict[str, Any]:
        packed = Gateway().pack()
        files = [p for path, data in packed.files.items() for p in part("file", path, text(data))]
        return case(
            about, status, code, request(body(envelope_part(packed.envelope), files), **options)
        )

    return make


def shaped(about: str, code: str, **fields: Any) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case of plain JSON."""

    def make() -> dict[str, Any]:
        good = {"envelope": json.loads(Gateway().pack().envelope), "files": []}
        given = {**good, **fields}
        return case(about, 422, code, plain({k: v for k, v in given.items() if v is not None}))

    return make


def bomb() -> dict[str, Any]:
    body = text(BOMB)
    wrong = request([body], Content_Encoding="gzip")
    return case(
        "A compressed body that would unfold to a thousand times its size", 415, "LM03", wrong
    )


def packed_part() -> dict[str, Any]:
    packed = Gateway().pack()
    body = [*envelope_part(packed.envelope)]
    data = text(BOMB)
    body += part("file", "samples.csv", data, more="\r\nContent-Encoding: gzip")
    return case("A compressed part", 400, "EV22", request([*body, *end()]))


def torn_json() -> dict[str, Any]:
    body = plain({"envelope": json.loads(Gateway().pack().envelope), "files": []})
    body["body"] = [body["body"][0][:-40]]
    return case("Plain JSON that ends too early", 422, "EV08", body)


def huge_envelope() -> dict[str, Any]:
    wrong = request([*envelope_part([{"repeat": " ", "times": 2_200_000}]), *end()])
    return case("An envelope over 2 MiB", 413, "LM01", wrong)


def huge_json() -> dict[str, Any]:
    wrong = request([{"repeat": " ", "times": 17_000_000}], "application/json")
    return case("Plain JSON over 16 MiB", 413, "LM01", wrong)


def header_twice(envelope: Pieces, files: Pieces) -> Pieces:
    more = '\r\nContent-Disposition: form-data; name="file"; filename="note.txt"'
    return [*envelope, *part("file", "samples.csv", "speed\n1\n", more=more), *files, *end()]


def many_headers(envelope: Pieces, files: Pieces) -> Pieces:
    more = "".join(f"\r\nX-{number}: 1" for number in range(100))
    return [*envelope, *part("file", "samples.csv", "speed\n1\n", more=more), *files, *end()]


def long_header(envelope: Pieces, files: Pieces) -> Pieces:
    more = "\r\nX-Long: " + "x" * 9000
    return [*envelope, *part("file", "samples.csv", "speed\n1\n", more=more), *files, *end()]


def nameless(envelope: Pieces, files: Pieces) -> Pieces:
    return [*envelope, f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n", *files, *end()]


FORM = f"multipart/form-data; boundary={BOUNDARY}"
CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "truncated-body": framed(
        "A body that ends within a file", 400, "EV10", lambda e, f: [*e, *f[:2]]
    ),
    "no-closing-boundary": framed("A body without its end", 400, "EV10", lambda e, f: [*e, *f]),
    "empty-body": framed("An empty body", 400, "EV10", lambda _e, _f: []),
    "no-parts": framed("A body without parts", 400, "EV22", lambda _e, _f: ["no part at all"]),
    "file-before-envelope": framed(
        "A file before the envelope", 400, "EV22", lambda e, f: [*f, *e, *end()]
    ),
    "unknown-part": framed(
        "A part of another name",
        400,
        "EV22",
        lambda e, f: [*e, *part("note", "", "x"), *f, *end()],
    ),
    "part-without-disposition": framed("A part without a name", 400, "EV22", nameless),
    "header-twice": framed("A part with two names", 400, "EV22", header_twice),
    "many-headers": framed("A part with a hundred headers", 400, "EV22", many_headers),
    "long-header": framed("A part with a header of 9 kB", 400, "EV22", long_header),
    "no-boundary": framed(
        "No boundary",
        400,
        "EV22",
        lambda e, f: [*e, *f, *end()],
        content_type="multipart/form-data",
    ),
    "wrong-boundary": framed(
        "Another boundary than the body's",
        400,
        "EV22",
        lambda e, f: [*e, *f, *end()],
        content_type="multipart/form-data; boundary=other",
    ),
    "wrong-content-type": framed(
        "A type that is not read",
        415,
        "LM03",
        lambda e, f: [*e, *f, *end()],
        content_type="text/csv",
    ),
    "no-content-type": framed(
        "No type at all", 415, "LM03", lambda e, f: [*e, *f, *end()], content_type=""
    ),
    "zip-bomb-body": bomb,
    "zip-bomb-part": packed_part,
    "truncated-json": torn_json,
    "envelope-over-2-mib": huge_envelope,
    "json-over-16-mib": huge_json,
    "json-list": lambda: case("A list where an object is due", 422, "EV02", plain("[]")),
    "json-envelope-and-statement": shaped(
        "Both an envelope and a statement", "EV02", statement=fields_of(Gateway().pack())
    ),
    "json-unknown-field": shaped("An unknown field beside the envelope", "EV02", mood="good"),
    "json-files-no-list": shaped("Files that are no list", "EV02", files={"a": content(b"")}),
    "json-file-no-base64": shaped(
        "Content that is not base64", "EV02", files=[{"path": "a", "content": "*"}]
    ),
    "json-path-no-text": shaped(
        "A path that is a number", "EV02", files=[{"path": 1, "content": ""}]
    ),
    "json-location-no-url": shaped("A location without url", "EV02", files=None, location={"u": 1}),
    "json-location-and-files": shaped(
        "Both files and a location", "EV02", location={"url": "az://evidence"}
    ),
    "as-it-should-be-but-gzip-named": lambda: case(
        "A body said to be compressed that is not",
        415,
        "LM03",
        {**whole(Gateway().pack()), "headers": {"Content-Type": FORM, "Content-Encoding": "gzip"}},
    ),
}
