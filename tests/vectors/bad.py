"""One envelope for each way of being wrong; each is right in all else, so only its fault can show."""

from __future__ import annotations

import copy
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from ledger_service.domain import canonical, dsse
from tests.vectors.sample import (
    DEVICES,
    base64_text,
    claim,
    ec_device,
    ed25519_device,
    envelope,
)

KIND = "ed25519"
MARK = b"\xef\xbb\xbf"  # a byte order mark
Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An envelope, the code of the error that it must meet, and the fault in words."""

    name: str
    code: str
    fault: str
    envelope: bytes


def cases() -> list[Case]:
    """Return all of them."""
    return [*_envelopes(), *_signatures(), *_texts(), *_shapes(), *_paths(), *_wholes()]


def json_texts() -> list[dict[str, str]]:
    """Return JSON texts that are never hashed, each with its code."""
    faults = {
        "EV01": ["1.0", "1e2", "-0.0", "1E400", "NaN", "[Infinity]", '{"a":-Infinity}'],
        "EV08": [
            "",
            "{",
            "[1,]",
            "{'a':1}",
            '{"a":1,"a":1}',
            '{"a":1,"\\u0061":2}',
            '"\\ud800"',
            '{"\\udfff":0}',
            '"\t"',
            "01",
            "+1",
            "[" * 33 + "]" * 33,
            "\ufeff{}",
            "1 2",
            "// no\n1",
        ],
        "EV09": ["9007199254740992", "-9007199254740992", "1" + "0" * 400],
    }
    return [{"text": text, "code": code} for code, texts in faults.items() for text in texts]


def _envelopes() -> list[Case]:
    """Envelopes that are none."""
    text = envelope(claim(KIND).dumps(), KIND)
    good: Fields = json.loads(text)
    signature = good["signatures"][0]
    made: list[tuple[str, str, str, bytes]] = [
        ("not-json", "EV08", "the envelope is no JSON", b"PK\x03\x04"),
        ("truncated", "EV08", "the envelope ends in its middle", text[: len(text) // 2]),
        ("byte-order-mark", "EV08", "a byte order mark before the envelope", MARK + text),
        ("unknown-name", "EV02", "a fourth name", _json({**good, "note": ""})),
        ("name-twice", "EV08", "payload stands twice", text[:-1] + b',"payload":""}'),
        ("type-no-text", "EV02", "payloadType is null", _json({**good, "payloadType": None})),
        ("payload-no-base64", "EV02", "payload is hex", _json({**good, "payload": "zz zz"})),
        ("nine-signatures", "EV02", "nine of them", _json({**good, "signatures": [signature] * 9})),
    ]
    return [Case(f"envelope-{name}", code, fault, data) for name, code, fault, data in made]


def _signatures() -> list[Case]:
    """Envelopes whose statement is right and is not signed by its device."""
    sealed, other = claim(KIND).dumps(), ed25519_device("another")
    good: Fields = json.loads(envelope(sealed, KIND))
    kind, changed = "application/json", sealed.replace(b"robot-7", b"robot-8")
    made: list[tuple[str, str, str, bytes]] = [
        ("none", "EV11", "no signature", _json({**good, "signatures": []})),
        ("other-type", "EV02", "another payload type", _signed(sealed, kind, dsse.pae(kind, sealed))),
        ("key-id", "EV11", "under the key id of another device", _resigned(good, keyid="00" * 32)),
        ("of-another", "EV12", "by another device", envelope(sealed, KIND, signer=other)),
        ("of-other-bytes", "EV12", "changed after it was signed", _json({**good, "payload": base64_text(changed)})),
        ("of-payload-alone", "EV12", "the type is not signed", _signed(sealed, dsse.STATEMENT_TYPE, sealed)),
        ("empty", "EV12", "no bytes", _resigned(good, sig="")),
    ]  # fmt: skip
    return [Case(f"signature-{name}", code, fault, data) for name, code, fault, data in made]


def _texts() -> list[Case]:
    """Statements that fail as text, before they have fields."""
    good = claim(KIND).dumps()
    score = b'"score":{"exponent":-5,"unit":"1","value":142857}'
    assert score in good
    made = [
        ("float", "EV01", "score is 1.42857", score.replace(b"142857", b"1.42857")),
        ("exponent", "EV01", "score is 1e2", score.replace(b"142857", b"1e2")),
        ("nan", "EV01", "score is NaN", score.replace(b"142857", b"NaN")),
        ("infinity", "EV01", "score is Infinity", score.replace(b"142857", b"Infinity")),
        ("beyond-2-53", "EV09", "score is 2^53", score.replace(b"142857", b"9007199254740992")),
        ("name-twice", "EV08", "score stands twice", score + b"," + score),
        ("lone-surrogate", "EV08", "unit is half a pair", score.replace(b'"1"', b'"\\ud800"')),
        ("not-utf-8", "EV08", "unit is 0xff", score.replace(b'"1"', b'"\xff"')),
        ("deep", "EV08", "a thousand lists", b'"score":' + b"[" * 1000 + b"]" * 1000),
    ]
    found = [(name, code, fault, good.replace(score, text)) for name, code, fault, text in made]
    found.append(("no-object", "EV02", "the statement is a list", b"[]"))
    found.append(("mark", "EV08", "begins with a byte order mark", MARK + good))
    found.append(("empty", "EV08", "the statement has no bytes", b""))
    return [_case(name, code, fault, text) for name, code, fault, text in found]


def _shapes() -> list[Case]:
    """Statements that do not have the published shape."""
    edits: list[tuple[str, str, str, Callable[[Fields], Any]]] = [
        ("unknown-name", "EV02", "a name nobody knows", _set("predicate", "mood", value="bad")),
        ("no-runtime", "EV02", "runtime is missing", lambda f: f["predicate"].pop("runtime")),
        ("type", "EV02", "in-toto Statement v0.1", _set("_type", value="https://in-toto.io/Statement/v0.1")),
        ("predicate", "EV02", "another predicate", _set("predicateType", value="https://slsa.dev/provenance/v1")),
        ("score-text", "EV02", "score is a text", _set("predicate", "score", "value", value="142857")),
        ("score-true", "EV02", "score is true", _set("predicate", "score", "value", value=True)),
        ("sequence-0", "EV02", "sequence is 0", _set("predicate", "sequence", value=0)),
        ("sequence-1-after", "EV02", "the first has one before it", _set("predicate", "previous", value="00" * 32)),
        ("sequence-2-alone", "EV02", "the second has none before it", _set("predicate", "sequence", value=2)),
        ("asset-without-host", "EV02", "no host in the name", _set("predicate", "asset", value="robot-7")),
        ("asset-zero-host", "EV02", "a leading zero", _set("predicate", "asset", value="01/robot-7")),
        ("asset-line", "EV02", "a new line after the name", _set("predicate", "asset", value="1/robot-7\n")),
        ("detector-upper", "EV02", "upper-case hex", _set("predicate", "detector", value="AB" * 32)),
        ("detector-line", "EV02", "a new line after the hex", _set("predicate", "detector", value="ab" * 32 + "\n")),
        ("feature-control", "EV02", "a bell in a name", _set("predicate", "features", 0, "name", value="a\u0007")),
        ("feature-bidi", "EV02", "text that runs backwards", _set("predicate", "features", 0, "name", value="a\u202eb")),
        ("time-zone", "EV02", "a time with an offset", _set("predicate", "window", "end", value="2026-11-24T10:00:00+01:00")),
        ("time-none", "EV02", "30 February", _set("predicate", "window", "end", value="2027-02-30T00:00:00Z")),
        ("key-no-base64", "EV02", "the key is no base64", _set("predicate", "device", "publicKey", value="abc")),
        ("size-negative", "EV02", "a size below nothing", _set("subject", 0, "annotations", "size", value=-1)),
        ("media-type", "EV02", "no media type", _set("subject", 0, "mediaType", value="csv")),
        ("flat-digest", "EV02", "a flat SHA-256", _set("subject", 0, "digest", value={"sha256": "00" * 32})),
    ]  # fmt: skip
    return [_edited(name, code, fault, edit) for name, code, fault, edit in edits]


def _paths() -> list[Case]:
    """Statements whose files lie where they may not."""
    names = {
        "traversal": ("EV06", "../samples.csv"),
        "traversal-inside": ("EV06", "notes/../samples.csv"),
        "absolute": ("EV06", "/samples.csv"),
        "dot": ("EV06", "./samples.csv"),
        "empty-component": ("EV06", "notes//samples.csv"),
        "backslash": ("EV06", "notes\\samples.csv"),
        "drive": ("EV06", "C:samples.csv"),
        "control": ("EV06", "sam\u0000ples.csv"),
        "new-line": ("EV06", "samples.csv\n"),
        "right-to-left": ("EV06", "samples\u202evsc"),
        "decomposed": ("EV06", unicodedata.normalize("NFD", "prüfung.csv")),
        "dots-and-space": ("EV06", ".. /samples.csv"),
        "trailing-dot": ("EV06", "samples.csv."),
        "long": ("EV06", "é" * 257),
        "twice": ("EV07", "notes/operator.txt"),
        "twice-but-for-case": ("EV07", "Notes/OPERATOR.txt"),
        "file-and-folder": ("EV07", "notes"),
        "file-and-folder-but-for-case": ("EV07", "NOTES"),
    }
    return [
        _edited(
            f"path-{name}", code, f"the path {ascii(path)[:40]}", _set("subject", 1, "name", value=path)
        )
        for name, (code, path) in names.items()
    ]  # fmt: skip


def _wholes() -> list[Case]:
    """Statements whose parts are right and do not fit together."""
    curve = ec_device("secp256k1", ec.SECP256K1())
    edits: list[tuple[str, str, str, Callable[[Fields], Any]]] = [
        ("no-files", "EV20", "an empty dataset", _set("subject", value=[])),
        ("chunk", "EV14", "chunks of 12345 bytes", _set("subject", 0, "annotations", "chunk", value=12345)),
        ("root", "EV03", "the root of another dataset", _set("predicate", "dataset", "root", value="00" * 32)),
        ("one-file-fewer", "EV03", "a file left out of the root", lambda f: f["subject"].pop(0)),
        ("input", "EV04", "the detector's input is no subject", _set("predicate", "input", value="other.csv")),
        ("window-empty", "EV18", "ends as it starts", _set("predicate", "window", "end", value="2026-11-24T08:00:00Z")),
        ("window-reversed", "EV18", "ends before it starts", _set("predicate", "window", "end", value="2026-11-24T07:00:00Z")),
        ("key-other-curve", "EV12", "a key on secp256k1", _set("predicate", "device", "publicKey", value=base64_text(curve.public_key))),
    ]  # fmt: skip
    return [_edited(name, code, fault, edit) for name, code, fault, edit in edits]


def _set(*place: str | int, value: Any) -> Callable[[Fields], None]:
    def edit(fields: Fields) -> None:
        at: Any = fields
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = value

    return edit


def _edited(name: str, code: str, fault: str, edit: Callable[[Fields], Any]) -> Case:
    fields = copy.deepcopy(canonical.loads(claim(KIND).dumps()))
    edit(fields)
    return _case(name, code, fault, canonical.dumps(fields))


def _case(name: str, code: str, fault: str, text: bytes) -> Case:
    return Case(f"statement-{name}", code, fault, envelope(text, KIND))


def _signed(payload: bytes, kind: str, message: bytes) -> bytes:
    signature = dsse.Signature(claim(KIND).device.hex(), DEVICES[KIND].sign(message))
    return dsse.Envelope(payload, kind, (signature,)).dumps()


def _resigned(fields: Fields, **changes: str) -> bytes:
    return _json({**fields, "signatures": [{**fields["signatures"][0], **changes}]})


def _json(fields: Fields) -> bytes:
    return json.dumps(fields).encode()
