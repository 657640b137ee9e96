"""Evidence: post it, follow it, read its bytes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from ledger_service.api import bodies
from ledger_service.api.auth import Checker, Edge, Operator, Reader
from ledger_service.api.parts import Parts, parts_of
from ledger_service.api.schemas import JourneyAnswer, SealedAnswer
from ledger_service.domain import ids

router = APIRouter(prefix="/v1/evidence", tags=["evidence"])
WithParts = Annotated[Parts, Depends(parts_of)]

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["envelope", "file"],
                    "properties": {
                        "envelope": {"type": "string", "description": "DSSE envelope, first part"},
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "One part per subject; filename = path, percent-encoded",
                        },
                    },
                }
            },
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "inline": {
                        "summary": "Small files inside",
                        "value": {
                            "envelope": {
                                "payload": "eyJfdHlwZSI6Li4ufQ==",
                                "payloadType": "application/vnd.in-toto+json",
                                "signatures": [{"keyid": "9f…", "sig": "MEUCIQ…"}],
                            },
                            "files": [{"path": "samples.csv", "content": "dGltZSxzcGVlZAo="}],
                        },
                    },
                    "location": {
                        "summary": "Files in an allowed object store",
                        "value": {
                            "envelope": {"payload": "…", "payloadType": "…", "signatures": []},
                            "location": {"url": "az://evidence/robot-7/2026-11-24"},
                        },
                    },
                },
            },
        },
    }
}


@router.post("", status_code=202, openapi_extra=BODY, responses={200: {"model": SealedAnswer}})
async def post_evidence(
    request: Request, response: Response, parts: WithParts, _: Edge
) -> SealedAnswer:
    """Seal evidence: 202 when bytes and row are durable; 200 with the same answer if it is known."""
    sealed = await bodies.receive(request, parts.seal)
    response.status_code = 202 if sealed.new else 200
    response.headers["Location"] = f"{parts.base_url}/v1/evidence/{sealed.evidence.hex()}"
    return SealedAnswer.of(sealed, parts.base_url)


@router.get("")
async def list_evidence(
    parts: WithParts, _: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[dict[str, str]]:
    """List the newest evidence first."""
    return [
        {"evidenceId": item.id.hex(), "asset": item.asset, "stage": item.stage.value}
        for item in await parts.track.latest(limit)
    ]


@router.get("/{evidence}")
async def get_evidence(evidence: str, parts: WithParts, _: Reader) -> JourneyAnswer:
    """Where is my evidence? Every hop with its time, tries and reason."""
    return JourneyAnswer.of(await parts.track.evidence(_id(evidence)))


@router.get("/{evidence}/envelope", response_class=Response)
async def get_envelope(evidence: str, parts: WithParts, _: Checker) -> Response:
    """Return the DSSE envelope, byte for byte as it was sealed."""
    data = await parts.fetch.envelope(_id(evidence))
    return Response(data, media_type="application/vnd.dsse.envelope.v1+json")


@router.get("/{evidence}/files/{path:path}", response_class=StreamingResponse)
async def get_file(evidence: str, path: str, parts: WithParts, _: Checker) -> StreamingResponse:
    """Return a file of the dataset, byte for byte as it was sealed."""
    opened = await parts.fetch.file(_id(evidence), path)
    # Never a type that a browser would run: these bytes are whatever somebody's device sealed.
    headers = {
        "Content-Length": str(opened.entry.size),
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": "attachment",
    }
    return StreamingResponse(opened.chunks, media_type="application/octet-stream", headers=headers)


@router.post("/{evidence}/again", status_code=202)
async def again(evidence: str, parts: WithParts, _: Operator) -> dict[str, str]:
    """Make another attempt for evidence that failed or whose order was refused or expired."""
    await parts.anchor.again(_id(evidence))
    return {"state": "Sealed"}


def _id(text: str) -> ids.EvidenceId:
    return ids.EvidenceId(ids.parse32(text))
