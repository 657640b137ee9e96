"""Settings files of a demo plant, as a person would write them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ledger_service.chain.keys import password_beside
from ledger_service.demo.keys import BUILDER
from ledger_service.demo.site import PARTIES, Party, Site
from validators.network.files import Network

PERSON_ABOVE = 5_000_000
COST_LIMIT = 10_000_000


def write(site: Site, network: Network, base_url: str, assets: Mapping[str, str]) -> None:
    """Write mol.toml, one agent.toml per organisation, and the job plans."""
    site.service.mkdir(parents=True, exist_ok=True)
    source = resources.files("ledger_service.demo").joinpath("jobplans")
    with resources.as_file(source) as plans:
        shutil.copytree(plans, site.service / "jobplans", dirs_exist_ok=True)
    site.config.write_text(_service(site, base_url, assets), encoding="utf-8")
    for index, party in enumerate(PARTIES):
        folder = site.agent(party)
        folder.mkdir(parents=True, exist_ok=True)
        node = network.nodes[index % len(network.nodes)].name
        text = _agent(site, party, node, base_url)
        (folder / "agent.toml").write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, indented."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _service(site: Site, base_url: str, assets: Mapping[str, str]) -> str:
    keystore = site.keystore(*BUILDER)
    lines = [
        "# The service of a demo plant. `mol config check` explains what is wrong with it.",
        "[api]",
        f"port = {urlsplit(base_url).port}",
        "",
        "[chain]",
        f'network = "{_up(site.network, site.service)}"',
        f'deployment = "{_up(site.deployment, site.service)}"',
        "",
        "[builder]",
        f'keystore = "{_up(keystore, site.service)}"',
        f'password_file = "{_up(password_beside(keystore), site.service)}"',
        "",
        "[orders]",
        'currency = "EUR"',
        'job_plans = "jobplans"',
    ]
    for asset, kind in assets.items():
        lines += ["", f'[orders.assets."{asset}"]', f'type = "{kind}"']
    return "\n".join(lines) + "\n"


def _agent(site: Site, party: Party, node: str, base_url: str) -> str:
    folder, keystore = site.agent(party), site.keystore(party.name, "verdict")
    return "\n".join(
        [
            f"# The agent of the {party.name}. It trusts its own node, its own copy of the",
            "# detectors, and the bytes that it hashed itself; nothing else.",
            f"organisation = {party.number}",
            f'network = "{_up(site.network, folder)}"',
            f'node = "{node}"',
            f'deployment = "{_up(site.deployment, folder)}"',
            f'keystore = "{_up(keystore, folder)}"',
            f'password_file = "{_up(password_beside(keystore), folder)}"',
            f'models = "{_up(site.models, folder)}"',
            f'service = "{base_url}"',
            f'token_file = "{_up(site.token(party.name), folder)}"',
            'folder = "."',
            "",
            "[policy]",
            f"cost_limit = {COST_LIMIT}",
            f"person_above = {PERSON_ABOVE}",
            "",
        ]
    )


def _up(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder, with forward slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()
