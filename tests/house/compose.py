"""docker-compose.yml as values, and ./plant as the walk in docs/operations.md lays it out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.house.tree import ROOT, read

FILE = ROOT / "docker-compose.yml"
SCHEMA = ROOT / "build/peers/compose-spec.json"
PLANT = Path("/plant")
HOST_PLANT = Path("plant")

Service = dict[str, Any]


def document() -> dict[str, Any]:
    """Return the file, its anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, Service]:
    """Return name -> service."""
    found: dict[str, Service] = document()["services"]
    return found


def ours() -> dict[str, Service]:
    """Return the services that run `mol`."""
    return {name: it for name, it in services().items() if it["image"] == document()["name"]}


def nodes() -> dict[str, Service]:
    """Return the chain's nodes."""
    return {name: it for name, it in services().items() if "besu" in it["image"]}


def mounts(service: Service) -> dict[Path, tuple[str, bool]]:
    """Return target -> (source, read only)."""
    parts = (volume.split(":") for volume in service["volumes"])
    return {Path(target): (source, mode == ["ro"]) for source, target, *mode in parts}


def mounted(service: Service, path: Path) -> str | None:
    """Say how a container sees a path: `ro`, `rw`, or not at all."""
    for target, (_, read_only) in mounts(service).items():
        if path == target or target in path.parents:
            return "ro" if read_only else "rw"
    return None


def walk_settings(file: str) -> str:
    """Return a settings file as the walk writes it."""
    pattern = rf"^ *cat > \S*{file} <<TOML\n(.*?)^ *TOML"
    found = re.search(pattern, read("docs/operations.md"), re.MULTILINE | re.DOTALL)
    assert found, f"the walk no longer writes {file}"
    return found[1].replace("$PORT", "8600")


def walk_agent(who: str, number: int) -> str:
    """Return an organisation's settings as the walk writes them."""
    text = re.sub(r"\$\([^\n]*\)", "1", walk_settings("agent.toml"))
    return text.replace("$who", who).replace("$number", str(number))
