"""What is wrong when nodes of one chain contradict each other."""

from __future__ import annotations

from ledger_service.domain import errors


class NodesDisagree(errors.ChainError):
    """Nodes have different final blocks at one height; nothing is taken in until an operator says which is right."""

    code = "CH09"
