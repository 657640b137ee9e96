"""Where processes died: counted for each line of the verbs that waits for something."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
#: The verbs. What of an agent stands for something outside (its API client, its folders) is not one.
VERBS = (
    *(f"ledger_service/services/{name}.py" for name in (
        "seal", "adopt", "anchor", "send", "follow", "apply", "relay", "track", "close", "fetch", "loops",
        "wakes",
    )),
    *(f"validators/agent/{name}.py" for name in (
        "accounts", "agent", "batches", "check", "feed", "house", "loops", "outcomes", "pen", "places",
        "registry", "watch", "work",
    )),
)  # fmt: skip


@cache
def waits() -> dict[str, str]:
    """Return every place of the verbs that waits, as file:line -> its source line."""
    found: dict[str, str] = {}
    for name in VERBS:
        text = (ROOT / name).read_text(encoding="utf-8")
        lines = text.splitlines()
        for line in _lines(ast.parse(text)):
            found[f"{name}:{line}"] = lines[line - 1].strip()
    return found


def _lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Await):
            yield node.lineno
        elif isinstance(node, ast.AsyncWith):
            yield node.items[0].context_expr.lineno
        elif isinstance(node, ast.AsyncFor) or (
            isinstance(node, ast.comprehension) and node.is_async
        ):
            yield node.iter.lineno


@cache
def _name(file: str) -> str:
    try:
        name = str(Path(file).relative_to(ROOT))
    except ValueError:
        return ""
    return name if name in VERBS else ""


class Deaths:
    """Counts deaths by place."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def see(self, trace: TracebackType | None) -> None:
        """Count a task's death at each frame of a verb that waited."""
        while trace is not None:
            name = _name(trace.tb_frame.f_code.co_filename)
            if name:
                self.counts[f"{name}:{trace.tb_lineno}"] += 1
            trace = trace.tb_next
