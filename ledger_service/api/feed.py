"""What the organisations' agents use: the feed of what is to be judged, and the results of it."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from ledger_service.api.auth import Organisation
from ledger_service.api.bodies import read_small
from ledger_service.api.parts import Parts, parts_of
from ledger_service.api.schemas import (
    MOST_RESULTS,
    FeedAnswer,
    FeedItem,
    HandedIn,
    HandIn,
    ResultAnswer,
    ResultsAnswer,
)
from ledger_service.domain import errors, ids
from ledger_service.domain.records import Result, Role, Token
from ledger_service.services.close import MAX_RESULT_BYTES
from ledger_service.services.inline import MOST_BYTES
from ledger_service.services.wakes import wait

router = APIRouter(prefix="/v1", tags=["feed"])
WithParts = Annotated[Parts, Depends(parts_of)]
MAX_SEQUENCE = 2**53 - 1  #: beyond it, neither JSON nor every database agrees
FEED_PAGE = 20  #: each line holds a whole envelope
FEED_POLL_SECONDS = 0.25
MAX_BODY_BYTES = MOST_RESULTS * 2 * MAX_RESULT_BYTES  #: base64, and what is around it

RESULTS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["results"],
                    "properties": {
                        "results": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MOST_RESULTS,
                            "items": HandedIn.model_json_schema(),
                        }
                    },
                },
                "example": {
                    "results": [
                        {
                            "order": "5f0c" * 16,
                            "organisation": 2,
                            "document": "eyJjbGFzcyI6Li4ufQ==",
                        }
                    ]
                },
            }
        },
    }
}


@router.get("/feed", response_model=FeedAnswer)
async def feed(
    parts: WithParts,
    _: Organisation,
    after: Annotated[int, Query(ge=0, le=MAX_SEQUENCE)] = 0,
    wait_seconds: Annotated[float, Query(ge=0, le=30, alias="wait")] = 0,
    inline: Annotated[int, Query(ge=0, le=MOST_BYTES)] = 0,
) -> Response:
    """Return announcements behind a sequence, waiting up to `wait` seconds for the first one.

    `inline`: an order whose whole dataset is at most so many bytes is told with its files, so that
    they need not be asked for. They are to be hashed like those that are.
    """
    left = wait_seconds
    while True:
        bell = parts.wakes.announced.listen()
        found = await parts.track.feed(after, FEED_PAGE)
        if found or left <= 0:
            break
        await wait(bell, min(left, FEED_POLL_SECONDS))
        left -= FEED_POLL_SECONDS
    files = await parts.inline.files(found, inline)
    items = [
        FeedItem(
            sequence=item.sequence,
            kind=item.kind,
            order=item.order.hex(),
            body=item.body,
            files=files.get(item.order, {}),
        )
        for item in found
    ]
    answer = FeedAnswer(items=items, next=items[-1].sequence if items else after)
    # Written once: the framework would go through these megabytes twice more.
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


@router.post("/results", openapi_extra=RESULTS)
async def hand_in(request: Request, parts: WithParts, token: Organisation) -> ResultsAnswer:
    """Hand in the result documents of approvals; their digests on chain decide what they are worth.

    Each is judged by itself: the answer says in the same order which of them are kept, and why the
    others are not. The same again is no error. A document has 2048 bytes at most, a request 64 of them.
    """
    handed = _read(await read_small(request, MAX_BODY_BYTES))
    opened = [_open(item, token) for item in handed]
    judged = iter(await parts.close.hand_in(*(it for it in opened if isinstance(it, Result))))
    whys = [next(judged) if isinstance(it, Result) else it for it in opened]
    return ResultsAnswer(results=[_answer(*each) for each in zip(handed, whys, strict=True)])


def _read(body: bytes) -> list[HandedIn]:
    """Read the request's body. Raise UnknownField."""
    try:
        return HandIn.model_validate_json(body).results
    except ValidationError as exc:
        first: Any = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise errors.UnknownField(f"{place}: {first['msg']}"[:200]) from exc


def _open(item: HandedIn, token: Token) -> Result | errors.LedgerError:
    """Return a result, or why nobody needs to look at it."""
    if token.role is not Role.OPERATOR and token.subject != str(item.organisation):
        return errors.Forbidden(found=token.subject, expected=item.organisation)
    try:
        document = base64.b64decode(item.document, validate=True)
    except ValueError:
        return errors.UnknownField("The document is not base64.")
    return Result(ids.OrderId(ids.parse32(item.order)), item.organisation, document)


def _answer(item: HandedIn, why: errors.LedgerError | None) -> ResultAnswer:
    code, text = ("", "") if why is None else (why.code, why.message)
    return ResultAnswer(
        order=ids.parse32(item.order).hex(),
        organisation=item.organisation,
        kept=why is None,
        code=code,
        detail=text,
    )
