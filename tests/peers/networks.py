"""A real network that runs, whatever its nodes are."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from validators.network import control
from validators.network.files import Network
from validators.network.plan import Launch, Plan


@dataclass(frozen=True)
class RealNetwork:
    """A running network whose nodes can be killed; `start` brings back what is down."""

    folder: Path
    network: Network

    @property
    def urls(self) -> list[str]:
        return [node.rpc for node in self.network.nodes]

    def kill(self, *names: str) -> None:
        plan = Plan.load(self.folder)
        for launch in plan.launches:
            if launch.name in names:
                os.kill(self._pid(plan, launch), signal.SIGKILL)

    async def start(self) -> None:
        await control.start(self.folder, print)

    async def health(self) -> control.Health:
        return await control.health(self.folder)

    @staticmethod
    def _pid(plan: Plan, launch: Launch) -> int:
        pid = control.running(plan, launch)
        assert pid is not None
        return pid
