from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from ledger_service.domain import canonical, dsse
from tests.unit.services.gateway import Gateway, Packed

BOUNDARY = "a-boundary"
Pieces = list[Any]


def text(data: bytes) -> str:
    """Return bytes as the characters of a golden file: Latin-1, one each."""
    return data.decode("latin-1")


def request(
    body: Pieces,
    content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
    **headers: str,
) -> dict[str, Any]:
    """Return a request: its headers and the pieces of its body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"headers": {"Content-Type": content_type, **named}, "body": body}


def part(name: str, filename: str, *data: Any, more: str = "") -> Pieces:
    """Return a part; `filename` stands as it is given."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"'
    return [f"{head}{more}\r\n\r\n", *data, "\r\n"]


def end() -> Pieces:
    return [f"--{BOUNDARY}--\r\n"]


def envelope_part(envelope: bytes | Pieces) -> Pieces:
    data = [text(envelope)] if isinstance(envelope, bytes) else envelope
    return part("envelope", "envelope.json", *data)


def upload(envelope: bytes | Pieces, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return a whole upload."""
    parts = [piece for path, data in files.items() for piece in part("file", path, text(data))]
    return request([*envelope_part(envelope), *parts, *end()])


def whole(packed: Packed) -> dict[str, Any]:
    """Return the upload of a packed statement as it should be."""
    return upload(packed.envelope, packed.files)


def fields_of(packed: Packed) -> dict[str, Any]:
    """Return a statement as JSON, to be bent."""
    fields: dict[str, Any] = json.loads(dsse.loads(packed.envelope).payload)
    return fields


def resealed(gateway: Gateway, packed: Packed, payload: dict[str, Any] | bytes) -> dict[str, Any]:
    """Return the upload of a packed statement whose payload was replaced, rightly signed."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return upload(gateway.sign(raw), packed.files)


def plain(fields: dict[str, Any] | str) -> dict[str, Any]:
    """Return a request of plain JSON."""
    body = fields if isinstance(fields, str) else text(canonical.dumps(fields))
    return request([body], "application/json")


def content(data: bytes) -> str:
    return base64.b64encode(data).decode()
