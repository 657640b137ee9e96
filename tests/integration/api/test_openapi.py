from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, CheckFunction, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from ledger_service.api.app import create_app
from tests.integration.api.http import Api
from tests.integration.api.process import AUTH, free_port
from tests.integration.api.server import opened
from tests.integration.api.test_access import MATRIX, OPEN

START_SECONDS = 60.0
#: Bodies are judged by signatures, digests and the chain: no schema can say which are right.
JUDGED: list[CheckFunction] = [checks.positive_data_acceptance]
#: Parameters and headers that nobody knows are passed over, as the web does.
TOLERANT: list[CheckFunction] = [checks.negative_data_rejection]


class _Thread(uvicorn.Server):
    """A server in a thread of this process; signals stay with the main thread."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The running application's own description, and the application behind it."""
    folder, port = tmp_path_factory.mktemp("openapi"), free_port()
    config = uvicorn.Config(create_app(lambda: opened(folder)), port=port, log_config=None)
    server = _Thread(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    load_all_checks()
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    server.should_exit = True
    thread.join(20)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
def test_the_application_behaves_as_it_says_whatever_it_is_sent(
    described: BaseSchema, mode: GenerationMode
) -> None:
    names = []
    for result in described.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        names.append(operation.label)
        if mode is GenerationMode.NEGATIVE and not (
            operation.body or list(operation.iter_parameters())
        ):
            continue  # nothing to be wrong in
        probe(operation.as_strategy(generation_mode=mode))()
    assert len(names) == len(OPEN) + len(MATRIX)


def probe(cases: SearchStrategy[Case[Any]]) -> Callable[[], None]:
    """Return a check that sends some of the cases; the same ones each time."""

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: Case[Any]) -> None:
        skipped = TOLERANT + (JUDGED if case.operation.body else [])
        if case.query:
            case.query.pop("wait", None)  # nobody has the time
        case.call_and_validate(headers=AUTH, excluded_checks=skipped, timeout=40)

    return check


def operations(api: Api) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in api.app.openapi()["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


async def test_every_operation_says_what_it_does_and_how_it_fails(api: Api) -> None:
    for name, operation in operations(api):
        assert operation["description"], name
        problem = operation["responses"]["4XX"]["content"]["application/problem+json"]
        assert "code" in problem["schema"]["required"], name
        assert "HTTPValidationError" not in str(operation), name


async def test_every_json_answer_has_an_example(api: Api) -> None:
    schemas = api.app.openapi()["components"]["schemas"]
    for name in ("SealedAnswer", "JourneyAnswer", "OrderSummary", "OrderAnswer", "HopAnswer"):
        assert "examples" in str(schemas[name]["properties"]), name
    body = api.app.openapi()["paths"]["/v1/evidence"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert set(body["application/json"]["examples"]) == {"inline", "location", "statement"}


async def test_what_needs_a_token_says_so_and_what_is_open_says_that(api: Api) -> None:
    for name, operation in operations(api):
        needed = operation.get("security", [])
        if "/v1/" in name and "/datasets/" not in name:
            assert needed == [{"HTTPBearer": []}], name
        else:
            assert needed in ([], [{"HTTPBearer": []}, {}]), name


async def test_the_answer_of_a_full_backlog_is_described_with_its_header(api: Api) -> None:
    answers = api.app.openapi()["paths"]["/v1/evidence"]["post"]["responses"]

    assert {"200", "202", "429"} <= set(answers)
    assert "Retry-After" in answers["429"]["headers"]
