"""Which nodes answer, and how many validators the chain needs to go on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ledger_service.chain.rpc import Node
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors, seals

#: A node that is frozen takes connections and never answers.
WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Muster:
    """Who answers. `missing`: validators among `down`; one that is not listed is believed to be up."""

    up: tuple[str, ...]
    down: tuple[str, ...]
    missing: int
    validators: int
    needed: int

    @property
    def short(self) -> int:
        """Return how many validators more must be up before the chain can make blocks."""
        return max(0, self.needed - (self.validators - self.missing))

    @property
    def text(self) -> str:
        """Return it in words."""
        if not self.down:
            return f"all {len(self.up)} answer"
        text = (
            f"down: {', '.join(self.down)}; the chain needs {self.needed} of its {self.validators}"
        )
        if self.short:
            return f"{text} validators and stands still: {self.short} more must come up"
        return f"{text} validators and goes on"

    def as_json(self) -> dict[str, object]:
        """Return what /health/ready says of it."""
        return {
            "up": list(self.up),
            "down": list(self.down),
            "validators": self.validators,
            "needed": self.needed,
            "short": self.short,
            "text": self.text,
        }


def needed(kind: str, validators: int) -> int:
    """Return how many validators a kind of network needs to make blocks."""
    match kind:
        case "clique":
            return seals.clique_quorum(validators)
        case "qbft":
            return seals.qbft_quorum(validators)
    return 1


async def muster(settings: ChainSettings) -> Muster:
    """Ask each node for a sign of life; never raises for what a node does or does not say."""
    alive = await asyncio.gather(*(_is_alive(url) for url in settings.rpc))
    sealing = settings.sealing if len(settings.sealing) == len(alive) else (True,) * len(alive)
    asked = list(zip(settings.labels, sealing, alive, strict=True))
    return Muster(
        up=tuple(name for name, _, lives in asked if lives),
        down=tuple(name for name, _, lives in asked if not lives),
        missing=sum(seals_blocks and not lives for _, seals_blocks, lives in asked),
        validators=settings.validators,
        needed=needed(settings.kind, settings.validators),
    )


async def _is_alive(url: str) -> bool:
    node = Node(url, timeout=WAIT_SECONDS)
    try:
        await node.call("eth_blockNumber")
    except errors.NodeUnreachable:
        return False
    except errors.ChainError:  # it answers; what, is told by whoever asks more
        return True
    finally:
        await node.close()
    return True
