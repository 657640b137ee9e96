"""What a service says that is not so: orders that it never made. None of them fits its document."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ledger_service.domain.order import Content, OrdersDomain, order_id


def of_files(files: Mapping[str, str], rng: random.Random) -> dict[str, Any]:
    """Return files that came along, one of them other bytes, none at all, or no base64."""
    path = rng.choice(sorted(files))
    other = rng.choice([base64.b64encode(rng.randbytes(9)).decode(), "", "no base64", None])
    return {**files, path: other}


def of_line(line: dict[str, Any], domain: OrdersDomain, rng: random.Random) -> dict[str, Any]:
    """Return a line of the feed that tells of another content; mostly under the id that goes with it."""
    content = Content.from_json(line["body"]["content"])
    other = rng.choice(
        [
            replace(content, cost=content.cost + 1),
            replace(content, attempt=content.attempt + 1),
            replace(content, deadline=content.deadline + 3600),
            replace(content, dataset_root=type(content.dataset_root)(rng.randbytes(32))),
        ]
    )
    order = order_id(other, domain).hex() if rng.random() < 0.8 else line["order"]
    return {**line, "order": order, "body": {**line["body"], "content": other.as_json()}}
