"""The production shape in docker-compose.yml fits its schema, the commands, the settings and the walk."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ledger_service import settings as service_settings
from ledger_service.cli import build_app
from tests.house import compose
from tests.house.tree import read
from validators import settings as agent_settings
from validators.network import besu, containers
from validators.network.plan import Launch, Plan

AGENTS = {
    name: number
    for number, name in enumerate((n for n in compose.ours() if n.startswith("agent-")), 1)
}
PARTS = [name for name in compose.ours() if name not in AGENTS]
#: Where a container is not a process on loopback.
OTHERWISE = {"data-path", "genesis-file", "p2p-host", "p2p-interface", "p2p-port", "host-allowlist"}
OTHERWISE |= {"rpc-http-host", "rpc-http-port", "rpc-ws-host", "rpc-ws-port"}
OTHERWISE |= {"node-private-key-file", "static-nodes-file"}


def test_it_fits_the_schema_of_the_compose_specification() -> None:
    if not compose.SCHEMA.is_file():
        pytest.skip("the Compose Specification's schema is not here; `make setup-peers` brings it")
    schema = json.loads(compose.SCHEMA.read_text(encoding="utf-8"))

    problems = jsonschema.Draft202012Validator(schema).iter_errors(compose.document())

    assert [f"{problem.json_path}: {problem.message}" for problem in problems] == []


@pytest.mark.parametrize("name", compose.ours())
def test_each_command_is_one_of_mol(name: str) -> None:
    command = compose.ours()[name]["command"]

    build_app().parse_args(command, exit_on_error=False, print_error=False)

    assert command[0] == name or command[:2] == ["agent", "run"]


@pytest.mark.parametrize("name", PARTS)
def test_the_service_finds_all_that_its_settings_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = compose.ours()[name]
    settings = load(service, tmp_path, monkeypatch)

    keys = settings.builder
    wanted = [settings.orders.job_plans, settings.chain.network, settings.chain.deployment]
    for path in (Path("mol.toml"), *wanted, keys.keystore, keys.password_file):
        assert compose.mounted(service, compose.PLANT / path) == "ro", path
    targets = settings.destinations
    assert targets.documents and targets.erp and targets.notifications and targets.events  # noqa: PT018
    kept = [targets.documents.path, targets.erp.path, targets.notifications.path]
    for path in (Path(settings.storage.url), *kept, targets.events.path):
        assert compose.mounted(service, compose.PLANT / path) == "rw", path


def load(
    service: compose.Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> service_settings.Settings:
    """Load the walk's settings as the container would."""
    for name in [name for name in os.environ if name.startswith("MOL_")]:
        monkeypatch.delenv(name)
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    assert service["environment"]["MOL_CONFIG"] == "/plant/mol.toml"
    file = folder / "mol.toml"
    file.write_text(compose.walk_settings("mol.toml"), encoding="utf-8")
    loaded = service_settings.load(file)
    for name in service["environment"]:
        if "__" in name:
            section, field = name.removeprefix("MOL_").lower().split("__")[:2]
            assert field in type(getattr(loaded, section)).model_fields, name
    return loaded


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_finds_what_is_its_own_and_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, who = compose.ours()[name], name.removeprefix("agent-")
    config = Path(service["command"][-1])
    file = tmp_path / "agent.toml"
    file.write_text(compose.walk_agent(who, AGENTS[name]), encoding="utf-8")
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)

    settings = agent_settings.load(file)

    keys = [settings.keystore, settings.password_file, settings.token_file]
    wanted = {
        normal(config.parent / path)
        for path in (settings.network, settings.deployment, settings.models, *keys)
    }
    assert config == compose.PLANT / "agents" / who / "agent.toml"
    assert set(compose.mounts(service)) == wanted | {config.parent}
    assert {path for path in wanted if compose.mounted(service, path) != "ro"} == set()
    assert compose.mounted(service, normal(config.parent / settings.folder)) == "rw"
    assert (settings.organisation, settings.service) == (AGENTS[name], "http://api:8600")
    assert settings.node in compose.nodes()


def normal(path: Path) -> Path:
    """Return a path of a container without its dots."""
    return Path(os.path.normpath(path))


def test_every_mount_is_at_the_same_place_as_on_the_host() -> None:
    for service in compose.ours().values():
        for target, (source, _) in compose.mounts(service).items():
            assert compose.PLANT / Path(source).relative_to(compose.HOST_PLANT) == target


def test_the_nodes_find_what_mol_network_writes_for_them(tmp_path: Path) -> None:
    hosts = [node["networks"]["chain"]["ipv4_address"] for node in compose.nodes().values()]

    network = containers.create(tmp_path / "chain", hosts, chain_id=1337, period=1)

    assert f"--hosts {' '.join(hosts)}" in read("docker-compose.yml")
    assert [node.name for node in network.nodes] == list(compose.nodes())
    for service in compose.nodes().values():
        named = [flag.split("=")[1] for flag in service["command"] if "-file=" in flag]
        for path in map(Path, named):
            target, (source, _) = next(
                (target, it)
                for target, it in compose.mounts(service).items()
                if target in {path, *path.parents}
            )
            place = tmp_path / Path(source).relative_to(compose.HOST_PLANT)
            assert (place / path.relative_to(target)).is_file(), path


def test_the_nodes_run_with_the_flags_that_ran(tmp_path: Path) -> None:
    plan = Plan(tmp_path, "besu", "besu", 1337, 1, (Launch("node-1", 1, 2, 3),))
    known = flags(besu.command(plan, plan.launches[0])[1:])

    for service in compose.nodes().values():
        found = flags(service["command"])
        assert {n: v for n, v in found.items() if n not in OTHERWISE} == {
            n: v for n, v in known.items() if n not in OTHERWISE
        }
        own = service["networks"]["chain"]["ipv4_address"]
        assert service["environment"] == {"BESU_OPTS": f"-Xmx{besu.HEAP}", "BESU_P2P_HOST": own}
        assert found["p2p-port"] == str(containers.P2P_PORT)


def flags(command: list[str]) -> dict[str, str]:
    """Return flag -> value."""
    return {flag: value for flag, _, value in (item[2:].partition("=") for item in command)}


def test_nobody_has_more_than_it_needs() -> None:
    for name, service in compose.services().items():
        assert re.fullmatch(r"[a-z/]+:\d+[\d.]*|maintenance-order-ledger", service["image"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not re.search(r"docker\.sock|\.pem", json.dumps(service)), name
    for name, service in {**compose.ours(), **compose.nodes()}.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "user" in service, name
    assert all(service["read_only"] for service in compose.ours().values())
    assert all("rows" not in compose.ours()[agent]["networks"] for agent in AGENTS)
    assert compose.document()["networks"]["rows"] == {"internal": True}


def test_no_secret_is_written_into_it() -> None:
    secrets: dict[str, Any] = compose.document()["secrets"]

    assert all(set(secret) == {"file"} for secret in secrets.values())
    for service in compose.services().values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD$|SECRET$|TOKEN$|KEY$", name)
            assert not re.search(r"//\w+:\w+@", value), "a password in an address"


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    text = read("Dockerfile")

    assert re.search(r"^ARG PYTHON=python:\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    assert "--require-hashes" in text
    assert read(".dockerignore").splitlines()[1] == "*"
