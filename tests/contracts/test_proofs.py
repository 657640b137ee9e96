"""Each call of the orders contract, proven from any state; and bugs planted in copies, each of which its proof must find."""

from __future__ import annotations

import re
import shutil
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.tools import CONTRACTS, PROOFS, SOURCES, need_prover, run, said

pytestmark = [pytest.mark.proof, pytest.mark.timeout(1200)]

SOLVER = "test/proof/solve"
#: Seconds for one question to the solver: only a machine under heavy load comes near.
PATIENCE = "600s"
WORKERS = 2


def checks() -> list[str]:
    """Return `Contract.check` of every proof in the sources."""
    return [
        f"{path.name.removesuffix('.t.sol')}.{name}"
        for path in sorted(PROOFS.glob("*.t.sol"))
        for name in re.findall(r"function (check_\w+)", path.read_text(encoding="utf-8"))
    ]


def mutants() -> dict[str, dict[str, str]]:
    """Return the planted bugs by name."""
    text = (PROOFS / "mutants.toml").read_text(encoding="utf-8")
    return {mutant["name"]: mutant for mutant in tomllib.loads(text)["mutant"]}


def prove(check: str, folder: Path = CONTRACTS) -> str:
    """Run one proof and return what halmos said, with the time it took."""
    contract, function = check.split(".")
    options = ("--solver-command", SOLVER, "--solver-timeout-assertion", PATIENCE, "--no-status")
    command = ("halmos", "--contract", contract, "--function", rf"{function}\(", "--early-exit")
    started = time.monotonic()
    done = run(*command, *options, "--forge-build-out", "out/proof", profile="proof", folder=folder)
    return f"{said(done, lines=2000)}\n{check}: {time.monotonic() - started:.1f} s"


def prove_planted(mutant: dict[str, str], folder: Path) -> str:
    """Plant a bug in a copy and run the proof that must find it."""
    for part in ("src", "test/proof"):
        shutil.copytree(CONTRACTS / part, folder / part)
    for part in ("foundry.toml", "solc"):
        shutil.copy(CONTRACTS / part, folder / part)
    (folder / "node_modules").symlink_to(CONTRACTS / "node_modules")
    source = folder / "src" / mutant["file"]
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(mutant["old"], mutant["new"]), encoding="utf-8")
    return prove(mutant["check"], folder)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Two proofs at a time; each test reads the answer of its own."""
    with ThreadPoolExecutor(WORKERS) as executor:
        yield executor
        executor.shutdown(cancel_futures=True)


def asked_for(request: pytest.FixtureRequest, parameter: str) -> list[str]:
    """Return a parameter's values in the tests of this file that were chosen."""
    here = [item for item in request.session.items if item.path == request.path]
    specs = [item.callspec for item in here if hasattr(item, "callspec")]
    mine = [spec for spec in specs if parameter in spec.params]
    return list(dict.fromkeys(spec.params[parameter] for spec in mine))


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, pool: ThreadPoolExecutor) -> dict[str, Future[str]]:
    """Start the proofs, over one build."""
    need_prover("halmos")
    built = run("forge", "build", profile="proof")
    assert built.returncode == 0, said(built)
    return {check: pool.submit(prove, check) for check in asked_for(request, "check")}


@pytest.fixture(scope="module")
def hunts(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Future[str]]:
    """Start the proofs over planted bugs."""
    need_prover("halmos")
    return {
        name: pool.submit(prove_planted, mutants()[name], tmp_path_factory.mktemp("mutant"))
        for name in asked_for(request, "name")
    }


@pytest.mark.parametrize("check", checks())
def test_the_rule_is_proven_from_any_state(check: str, answers: dict[str, Future[str]]) -> None:
    answer = answers[check].result()

    print(answer.splitlines()[-1])  # noqa: T201  the seconds, with -s
    assert f"[PASS] {check.split('.')[1]}(" in answer, answer


@pytest.mark.parametrize("name", mutants())
def test_its_proof_finds_the_planted_bug(name: str, hunts: dict[str, Future[str]]) -> None:
    mutant = mutants()[name]
    answer = hunts[name].result()

    print(answer.splitlines()[-1])  # noqa: T201  the seconds, with -s
    assert f"[FAIL] {mutant['check'].split('.')[1]}(" in answer, answer
    assert "Counterexample" in answer


@pytest.mark.parametrize("planted", mutants())
def test_a_planted_bug_changes_one_place_of_the_present_sources(planted: str) -> None:
    mutant = mutants()[planted]

    assert (SOURCES / mutant["file"]).read_text(encoding="utf-8").count(mutant["old"]) == 1
    assert mutant["check"] in checks()
