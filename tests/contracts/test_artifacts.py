from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import solcx

from contracts import build
from contracts.load import enums, load
from ledger_service.chain import binding
from ledger_service.domain import facts
from ledger_service.domain.lifecycle import Status
from ledger_service.testing.consortium import WHY
from tests.contracts.tools import SOURCES, need_compiler

CODE_LIMIT = 24_576
#: The only functions that may write what an asset version is: the proof of the lemma covers these two ways.
WRITERS = {"_register", "_storeSeats", "_endVersion"}
VERSION_STATE = {"_terms", "_moreSeats", "membersOf", "assetOf"}
PUBLIC_NODES = {
    "ContractDefinition",
    "ErrorDefinition",
    "EventDefinition",
    "EnumDefinition",
    "StructDefinition",
    "FunctionDefinition",
    "VariableDeclaration",
}


@cache
def asts() -> dict[str, Any]:
    """Return file name -> syntax tree."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in SOURCES.glob("*.sol")}
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {"evmVersion": "london", "outputSelection": {"*": {"": ["ast"]}}},
    }
    output = solcx.compile_standard(request, solc_binary=str(build.SOLC))
    return {name: output["sources"][name]["ast"] for name in texts}


def nodes(tree: Any, *kinds: str) -> list[dict[str, Any]]:
    """Return the nodes of these kinds, outermost first."""
    if isinstance(tree, list):
        return [node for part in tree for node in nodes(part, *kinds)]
    if not isinstance(tree, dict):
        return []
    own = [tree] if tree.get("nodeType") in kinds else []
    return own + [node for part in tree.values() for node in nodes(part, *kinds)]


def is_public(node: dict[str, Any]) -> bool:
    """Say whether users of a contract see this node."""
    kind = node["nodeType"]
    if kind == "FunctionDefinition":
        return node["visibility"] in {"public", "external"} and node["kind"] != "constructor"
    if kind == "VariableDeclaration":
        return bool(node["stateVariable"]) and node["visibility"] == "public"
    return True


def base(node: dict[str, Any]) -> str:
    """Return the variable that an expression like `a[b].c` writes to."""
    while "name" not in node:
        node = node.get("baseExpression") or node.get("expression") or {"name": ""}
    return str(node["name"])


def test_the_committed_artifacts_are_what_the_sources_compile_to() -> None:
    need_compiler()
    fresh = build.compile_all()

    stale = [
        name
        for name, text in fresh.items()
        if (build.ARTIFACTS / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run python -m contracts.build"


@pytest.mark.parametrize("name", build.PUBLISHED)
def test_the_code_fits_into_a_block(name: str) -> None:
    assert len(load(name).deployed) < CODE_LIMIT


def test_everything_public_says_what_it_is_for() -> None:
    need_compiler()
    silent = [
        f"{file}: {node['name']}"
        for file, tree in asts().items()
        for node in nodes(tree, *PUBLIC_NODES)
        if is_public(node) and not (node.get("documentation") or {}).get("text", "").strip()
    ]

    assert silent == []


def test_no_assembly_and_no_unchecked_arithmetic_in_the_contracts() -> None:
    need_compiler()

    assert [name for name, tree in asts().items() if nodes(tree, "InlineAssembly")] == []
    assert [name for name, tree in asts().items() if nodes(tree, "UncheckedBlock")] == []


def test_nothing_but_registering_and_ending_writes_an_asset_version() -> None:
    need_compiler()
    functions = nodes(list(asts().values()), "FunctionDefinition")
    writers = {
        function["name"]
        for function in functions
        for node in nodes(function.get("body"), "Assignment", "UnaryOperation")
        if base(node.get("leftHandSide") or node["subExpression"]) in VERSION_STATE
    }

    assert writers == WRITERS


def test_states_reasons_and_their_numbers_are_the_same_in_python() -> None:
    listed = enums()

    assert [status.title for status in Status] == listed["Status"]
    assert list(WHY) == listed["Why"]


def test_every_event_and_rejection_of_the_orders_contract_is_bound() -> None:
    abi = load("MaintenanceOrders").abi
    bound = {event.name for event in binding.orders_interface().events.values()}
    events = {item["name"] for item in abi if item["type"] == "event"}
    errors = {item["name"] for item in abi if item["type"] == "error"}

    assert bound == events == {fact.__name__ for fact in get_args(facts.Event)}
    assert errors == {"Rejected", "BadBatch"}


def test_every_function_that_changes_orders_is_offered_as_a_call() -> None:
    abi = load("MaintenanceOrders").abi
    changing = {
        item["name"]
        for item in abi
        if item["type"] == "function" and item["stateMutability"] == "nonpayable"
    }
    source = Path(binding.__file__).read_text(encoding="utf-8")

    # Batches of refusals are for organisations' own tools: an agent refuses one by one.
    assert changing - {"refuseBatch"} == set(re.findall(r'return "(\w+)", ', source))
