from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.cli import run

LOOKING = ["order list", f"order show {'ab' * 32}", "relay status", "token list"]
ALL = [*LOOKING, "config show", "doctor", "up", "token create --role buyer", "relay pause erp"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MOL_CONFIG", "MOL_DATABASE__URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", ALL)
def test_where_nothing_is_configured_a_command_says_what_to_do_and_leaves_nothing(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2

    assert "no mol.toml here" in (said := capsys.readouterr().err)
    assert "--config" in said
    assert "MOL_CONFIG" in said
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("line", LOOKING)
def test_looking_into_a_database_does_not_make_one(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mol.toml").touch()

    assert run(line.split()) == 2

    assert "no database yet" in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["mol.toml"]


def test_a_file_that_the_environment_names_must_be_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOL_CONFIG", str(folder / "other.toml"))

    assert run(["token", "list"]) == 2
    assert "other.toml" in capsys.readouterr().err


def test_a_database_in_the_environment_is_configuration_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOL_DATABASE__URL", f"sqlite+aiosqlite:///{folder}/other.db")

    assert run(["token", "create", "--role", "buyer", "--file", "token"]) == 0
    assert run(["token", "list"]) == 0

    assert "buyer" in capsys.readouterr().out
    assert (folder / "other.db").exists()
    assert not (folder / "mol.db").exists()


@pytest.mark.parametrize(
    "line",
    [
        "order show zz",
        f"order export {'AB' * 32} order.json",
        "order withdraw 7z",
        "relay replay erp zz",
    ],
)
def test_an_id_that_is_none_is_wrong_use(
    line: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mol.toml").touch()

    assert run(line.split()) == 2
    assert "64 lower-case hex digits" in capsys.readouterr().err
