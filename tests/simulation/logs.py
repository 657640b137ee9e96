"""What the verbs log goes into the trace; an exception that they did not expect is a violation."""

from __future__ import annotations

import logging
import traceback
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

from tests.simulation.loop import PROCESS

if TYPE_CHECKING:
    from tests.simulation.world import World


def show(world: World) -> None:
    """Send the logs of this process to a world."""

    def take(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        failure = event.pop("exc_info", None)
        process = PROCESS.get()
        name = process.name if process is not None else "outside"
        if process is None or process.alive:
            if event.get("code") == "CF05":
                raise structlog.DropEvent  # of two that follow, one is always slower
            text = " ".join(f"{key}={str(value)[:60]}" for key, value in event.items())
            world.note(f"{name}: {text}")
            if failure:
                _tell(world, name)
        raise structlog.DropEvent

    structlog.configure(
        processors=[take],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _tell(world: World, name: str) -> None:
    import sys  # noqa: PLC0415

    failure = sys.exc_info()[1]
    lines = traceback.format_exception(failure) if failure else []
    world.violate("bug", f"{name}: {failure!r}\n{''.join(lines[-6:])}")
