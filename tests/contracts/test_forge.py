from __future__ import annotations

import re

import pytest

from tests.contracts.tools import need_compiler, run, said

GAS = re.compile(r'emit Gas\(what: "([^"]+)", gas: (\d+)')


@pytest.mark.timeout(900)
def test_rules_attacks_and_invariants_hold_under_forge() -> None:
    need_compiler()
    # The symbolic proofs are not forge's, and gas is measured on the published code.
    done = run("forge", "test", "--no-match-path", "test/{proof/*,Gas.t.sol}", profile="quick")

    print(said(done, 5))  # noqa: T201  how many ran, with -s
    assert done.returncode == 0, said(done)
    assert " 0 skipped" in done.stdout


@pytest.mark.timeout(900)
def test_gas_of_whole_transactions_stays_within_its_budget() -> None:
    need_compiler()
    command = ("forge", "test", "--match-path", "test/Gas.t.sol", "--isolate", "-vvvv")
    done = run(*command, profile="default")

    print(*(f"{what}: {gas}" for what, gas in GAS.findall(done.stdout)), sep="\n")  # noqa: T201  the figures, with -s
    assert done.returncode == 0, said(done)
    assert len(GAS.findall(done.stdout)) == 6
