"""Statements that are wrong, each signed as if it were right."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ledger_service.domain import dsse, ids
from ledger_service.domain.units import Quantity
from ledger_service.testing.clock import START
from tests.golden.build import (
    end,
    envelope_part,
    fields_of,
    plain,
    request,
    resealed,
    upload,
    whole,
)
from tests.unit.services.gateway import Gateway, Packed

Bend = Callable[[dict[str, Any]], object]


def case(about: str, status: int, code: str, wrong: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a golden file. What is right by default: the same gateway's first statement."""
    right = more.pop("right", None) or whole(Gateway().pack())
    expect = {"status": status, "code": code}
    return {"about": about, "expect": expect, **more, "request": wrong, "right": right}


def bent(about: str, code: str, bend: Bend, status: int = 422) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case whose statement's JSON is changed and signed."""

    def make() -> dict[str, Any]:
        gateway = Gateway()
        packed = gateway.pack()
        fields = fields_of(packed)
        bend(fields)
        return case(about, status, code, resealed(gateway, packed, fields))

    return make


def claimed(about: str, code: str, **changes: Any) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case whose statement says something else, in the right shape."""
    return lambda: case(about, 422, code, whole(Gateway().pack(**changes)))


def raw(about: str, code: str, change: Callable[[bytes], bytes]) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case whose statement's bytes are changed and signed."""

    def make() -> dict[str, Any]:
        gateway = Gateway()
        packed = gateway.pack()
        payload = change(dsse.loads(packed.envelope).payload)
        return case(about, 422, code, resealed(gateway, packed, payload))

    return make


def signed(about: str, code: str, sign: Callable[[Packed], bytes]) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case whose envelope is not what it should be."""

    def make() -> dict[str, Any]:
        packed = Gateway().pack()
        return case(about, 422, code, upload(sign(packed), packed.files))

    return make


def payload_of(packed: Packed) -> bytes:
    return dsse.loads(packed.envelope).payload


def unsigned(packed: Packed) -> bytes:
    return dsse.Envelope(payload_of(packed), dsse.STATEMENT_TYPE, ()).dumps()


def forged(packed: Packed) -> bytes:
    return Gateway("other").sign(payload_of(packed), keyid=Gateway().id.hex())


def mistyped(packed: Packed) -> bytes:
    return replace(dsse.loads(packed.envelope), payload_type="text/plain").dumps()


def too_long() -> dict[str, Any]:
    """A statement of 1.2 MB; `eHh4` is `xxx` in base64."""
    head, tail = '{"payload":"', '","payloadType":"application/vnd.in-toto+json","signatures":[]}'
    pieces = [head, {"repeat": "eHh4", "times": 400_000}, tail]
    wrong = request([*envelope_part(pieces), *end()])
    return case("A statement over 1 MiB", 413, "LM01", wrong)


def deep_payload() -> dict[str, Any]:
    """10^6 brackets would make a statement over 1 MiB; these are the most that fit."""
    head, tail = '{"payload":"', '","payloadType":"application/vnd.in-toto+json","signatures":[]}'
    brackets = base64.b64encode(b"[[[").decode()
    pieces = [head, {"repeat": brackets, "times": 340_000}, tail]
    wrong = request([*envelope_part(pieces), *end()])
    return case("A statement nested a million deep", 422, "EV08", wrong)


def deep_envelope() -> dict[str, Any]:
    wrong = request([*envelope_part([{"repeat": "[", "times": 1_000_000}]), *end()])
    return case("An envelope nested a million deep", 422, "EV08", wrong)


def deep_json() -> dict[str, Any]:
    wrong = request([{"repeat": '{"a":', "times": 1_000_000}], "application/json")
    return case("Plain JSON nested a million deep", 422, "EV08", wrong)


def bare() -> dict[str, Any]:
    packed = Gateway().pack()
    wrong = plain({"statement": fields_of(packed), "files": []})
    return case("A bare statement where a signature is required", 422, "EV11", wrong)


def _window(start: timedelta, end_: timedelta) -> dict[str, Any]:
    from ledger_service.domain.statement import Window  # noqa: PLC0415  used here alone

    return {"window": Window(START + start, START + end_, 60)}


HOUR = timedelta(hours=1)
SUBJECT: Callable[[dict[str, Any]], dict[str, Any]] = lambda fields: fields["subject"][0]  # noqa: E731  a lens

CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "float-in-score": bent(
        "A float in a hashed place",
        "EV01",
        lambda f: f["predicate"]["score"].update(value=1.5),
    ),
    "nan-in-score": raw(
        "NaN in a hashed place", "EV01", lambda b: b.replace(b'"value":1500', b'"value":NaN')
    ),
    "infinity-in-score": raw(
        "Infinity in a hashed place",
        "EV01",
        lambda b: b.replace(b'"value":1500', b'"value":-Infinity'),
    ),
    "unknown-field": bent(
        "A field that the schema does not name", "EV02", lambda f: f["predicate"].update(mood=1)
    ),
    "lacking-field": bent("A field is not there", "EV02", lambda f: f["predicate"].pop("runtime")),
    "name-twice": raw(
        "A name twice in one object",
        "EV08",
        lambda b: b.replace(b'{"_type"', b'{"_type":1,"_type"'),
    ),
    "integer-beyond-2-53": bent(
        "An integer that JSON readers disagree on",
        "EV09",
        lambda f: f["predicate"].update(sequence=2**53),
    ),
    "not-utf-8-statement": raw(
        "A path that is no UTF-8, in the statement",
        "EV08",
        lambda b: b.replace(b"samples.csv", b"sam\xff\xfees.csv"),
    ),
    "lone-surrogate-path": raw(
        "A path with half a character, in the statement",
        "EV08",
        lambda b: b.replace(b"samples.csv", b"sampl\\ud800.csv"),
    ),
    "traversal-in-statement": bent(
        "A path that leads out", "EV06", lambda f: SUBJECT(f).update(name="../../etc/passwd")
    ),
    "absolute-path": bent(
        "An absolute path", "EV06", lambda f: SUBJECT(f).update(name="/etc/passwd")
    ),
    "path-with-nul": bent("A path with a NUL", "EV06", lambda f: SUBJECT(f).update(name="a\0b")),
    "backslash-path": bent(
        "A path of another system", "EV06", lambda f: SUBJECT(f).update(name="..\\up.csv")
    ),
    "duplicate-path-in-statement": bent(
        "A path twice in the statement", "EV07", lambda f: f["subject"].append(f["subject"][0])
    ),
    "file-that-is-a-folder": bent(
        "A path below a file",
        "EV07",
        lambda f: f["subject"].append({**SUBJECT(f), "name": SUBJECT(f)["name"] + "/below"}),
    ),
    "chunk-size": bent(
        "A chunk size out of the list",
        "EV14",
        lambda f: SUBJECT(f)["annotations"].update(chunk=65_537),
    ),
    "empty-dataset": bent("No file at all", "EV20", lambda f: f.update(subject=[])),
    "wrong-dataset-root": bent(
        "A dataset root of other files",
        "EV03",
        lambda f: f["predicate"]["dataset"].update(root="00" * 32),
    ),
    "input-not-a-subject": bent(
        "The detector reads a file that is not there",
        "EV04",
        lambda f: f["predicate"].update(input="else.csv"),
    ),
    "first-with-previous": bent(
        "A first statement that names one before",
        "EV02",
        lambda f: f["predicate"].update(previous="00" * 32),
    ),
    "window-in-the-future": claimed(
        "A window that ends in the future", "EV18", **_window(-HOUR, HOUR)
    ),
    "window-reversed": claimed(
        "A window that ends before it starts", "EV18", **_window(timedelta(0), -HOUR)
    ),
    "window-too-old": claimed(
        "A window of the year before last", "EV18", **_window(-HOUR * 10_001, -HOUR * 10_000)
    ),
    "unknown-asset": claimed("An asset that nobody registered", "EV17", asset="1/robot-8"),
    "unknown-detector": claimed(
        "A detector that nobody registered", "EV15", detector=ids.DetectorId(bytes(32))
    ),
    "no-job-plan": claimed("A failure mode without a plan", "EV21", failure_mode="unheard-of"),
    "below-threshold": claimed(
        "A score that asks for nothing", "EV23", score=Quantity(900, -3, "1")
    ),
    "unsigned": signed("No signature where one is required", "EV11", unsigned),
    "bare-statement": bare,
    "signed-by-another-device": signed(
        "Another device's signature, under its own name",
        "EV11",
        lambda p: Gateway("other").sign(payload_of(p)),
    ),
    "forged-key-id": signed("Another device's signature, under this one's name", "EV12", forged),
    "wrong-payload-type": signed("A signed payload of another type", "EV02", mistyped),
    "stranger": lambda: case(
        "A device that is not registered for the asset",
        422,
        "EV13",
        whole(Gateway("stranger").pack()),
    ),
    "statement-over-1-mib": too_long,
    "deep-statement": deep_payload,
    "deep-envelope": deep_envelope,
    "deep-plain-json": deep_json,
}
