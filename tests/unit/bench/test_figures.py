from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import report
from tests.bench.__main__ import LATER, THERE, app, main
from tests.bench.figures import Against, Result, Target, percentile, rounded

RESULTS = [
    Result("way", 3.14159, "s", Against("straight on", 2.5), Target(1.25, "at most")),
    Result("speed", 8.0, "GB/s", Against("limit", 8.0), Target(0.95, "at least")),
    Result("gas", 238_646, "gas", target=Target(240_000, "at most", "value")),
]


def test_a_percentile_lies_between_its_neighbours() -> None:
    values = [4.0, 1.0, 3.0, 2.0, 5.0]

    assert percentile(values, 0) == 1
    assert percentile(values, 50) == 3
    assert percentile(values, 95) == pytest.approx(4.8)
    assert percentile(values, 100) == 5
    assert percentile([7.0], 95) == 7
    with pytest.raises(ValueError, match="No values"):
        percentile([], 50)


def test_a_target_is_met_by_the_ratio_or_by_the_value_as_it_says() -> None:
    assert [result.met for result in RESULTS] == [False, True, True]
    assert Result("way", 1, "s").met is None
    assert Result("way", 1, "s", target=Target(1, "at most")).met is None


def test_a_report_has_exactly_the_published_shape(tmp_path: Path) -> None:
    made = report.make("latency", RESULTS)
    read = json.loads(report.write(made, tmp_path).read_text(encoding="utf-8"))

    assert read == made
    assert list(read) == ["name", "when", "commit", "machine", "results"]
    assert list(read["machine"]) == ["cpus", "python"]
    for result in read["results"]:
        assert list(result) == ["metric", "value", "unit", "against", "ratio"]
    assert read["results"][0]["against"] == {"name": "straight on", "value": 2.5}
    assert read["results"][0]["ratio"] == 1.257
    assert read["results"][2]["against"] is None
    assert read["results"][2]["ratio"] is None
    assert (tmp_path / "latency.json").exists()


def test_large_figures_stay_whole_and_small_ones_keep_four_digits() -> None:
    assert rounded(238_646.4) == 238_646
    assert rounded(0.0123456) == 0.01235


def test_the_table_tells_what_was_missed() -> None:
    console = Console(record=True, width=140, file=io.StringIO())
    report.show(console, "latency", RESULTS)
    text = console.export_text()

    assert "straight on: 2.5" in text
    assert text.count("missed") == 1
    assert text.count(": met") == 2


@pytest.mark.parametrize("name", [*LATER, "speeed"])
def test_a_bench_that_is_not_there_is_wrong_use(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(only=name) == 2
    told = capsys.readouterr().err

    assert name in told
    assert "later capability" in told or all(there in told for there in THERE)


def test_the_help_names_every_bench(capsys: pytest.CaptureFixture[str]) -> None:
    app(["--help"], result_action="return_value")
    told = capsys.readouterr().out

    assert all(name in told for name in THERE)
