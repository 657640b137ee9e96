"""Where processes died: counted for each line of the verbs that waits for something."""

from __future__ import annotations

import ast
import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
#: Modules of the verbs' packages that speak to sockets: a port stands in their place here, and nobody waits in them.
OUTSIDE = {
    "validators/agent/source.py": "import httpx",
    "validators/agent/wire.py": "import aiohttp",
    "ledger_service/chain/together.py": "from ledger_service.chain.client import ChainLedger",
}
PACKAGES = ("ledger_service/services", "validators/agent")


def _waiting(text: str) -> bool:
    return any(True for _ in _lines(ast.parse(text)))


def _modules() -> tuple[str, ...]:
    """Return every module of the verbs that waits."""
    found = sorted(
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).glob("*.py")
    )
    return tuple(
        name
        for name in found
        if name not in OUTSIDE and _waiting((ROOT / name).read_text(encoding="utf-8"))
    )


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
            yield from (it.context_expr.lineno for it in node.items if not _is_timeout(it))
        elif isinstance(node, ast.AsyncFor) or (
            isinstance(node, ast.comprehension) and node.is_async
        ):
            yield node.iter.lineno


def _is_timeout(item: ast.withitem) -> bool:
    """Say whether it is `asyncio.timeout`, which waits neither at its begin nor at its end."""
    return ast.unparse(item.context_expr).startswith("asyncio.timeout(")


VERBS = _modules()


@cache
def name_of(file: str) -> str:
    """Return the module of the verbs that a file is, empty if it is none."""
    try:
        name = str(Path(file).relative_to(ROOT))
    except ValueError:
        return ""
    return name if name in VERBS else ""


_verbs: dict[int, tuple[CodeType, bool]] = {}


def _is_verb(code: CodeType) -> bool:
    known = _verbs.get(id(code))
    if known is None or known[0] is not code:
        known = _verbs[id(code)] = (code, bool(name_of(code.co_filename)))
    return known[1]


def standing(work: Any) -> Iterator[FrameType]:
    """Yield the frames of verbs in which a coroutine waits now, the outermost first."""
    while work is not None:
        kind = type(work)
        if kind is CoroutineType:
            if _is_verb(work.cr_code):
                yield work.cr_frame
            work = work.cr_await
        elif kind is AsyncGeneratorType:
            if _is_verb(work.ag_code):
                yield work.ag_frame
            work = work.ag_await
        elif kind.__name__.startswith("async_generator_"):  # a step of one: it refers to it
            referred = gc.get_referents(work)
            work = next((it for it in referred if type(it) is AsyncGeneratorType), None)
        else:
            return


def places(frames: Iterable[FrameType]) -> list[str]:
    """Return where frames stand, as in `waits`."""
    return [f"{name_of(it.f_code.co_filename)}:{it.f_lineno}" for it in frames]


class Deaths:
    """Counts deaths by place."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def see(self, work: Any) -> None:
        """Count a task's death at each place of a verb where it waits."""
        self.counts.update(set(places(standing(work))))
