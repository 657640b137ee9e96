"""The walk in docs/operations.md is run as it stands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operations.md"
SECONDS = 420


@pytest.mark.timeout(500)
def test_the_walk_through_a_plant_by_hand_ends_as_the_page_says(tmp_path: Path) -> None:
    script = "\n".join(
        re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MOL_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    log = tmp_path / "walk.log"
    with log.open("wb") as out:
        walk = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = walk.wait(SECONDS)
        finally:
            end(walk, tmp_path)

    said = log.read_text("utf-8", "replace")
    assert code == 0, said[-4000:]
    assert "the order is Completed" in said
    assert "KeyReplaced: number 3, role Verdict" in said
    assert list((tmp_path / "plant/purchase-orders/orders").glob("*.xml")), said[-4000:]


def end(walk: subprocess.Popen[bytes], folder: Path) -> None:
    """End what a broken walk left running: its processes, and the chain, which outlives it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(walk.pid, signal.SIGTERM)
    stop = [sys.executable, "-m", "ledger_service", "network", "stop", "--dir", "plant/chain"]
    subprocess.run(stop, cwd=folder, check=False, capture_output=True)
