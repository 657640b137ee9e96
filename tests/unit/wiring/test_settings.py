from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ledger_service import settings as config
from ledger_service.domain import errors
from ledger_service.wiring.destinations import recipients, secret
from ledger_service.wiring.service import database_url, limits_of, load_plans


def written(folder: Path, text: str) -> Path:
    path = folder / "mol.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_environment_wins_over_the_file_field_by_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOL_API__PORT", "9000")
    path = written(tmp_path, '[api]\nport = 8000\nhost = "0.0.0.0"\n')

    settings = config.load(path)

    assert (settings.api.port, settings.api.host) == (9000, "0.0.0.0")  # noqa: S104  a value to read
    assert settings.base_url == "http://0.0.0.0:9000"
    assert settings.root == tmp_path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[api]\nprot = 1", "api.prot"),
        ("[api]\nport = 'x'", "api.port"),
        ("[seal]\nbacklog = 0", "seal.backlog"),
        ("[orders]\ncurrency = 'euro'", "orders.currency"),
        ("[orders.assets.'1/robot-7']\ntype = 'Robot 7'", "orders.assets.1/robot-7.type"),
        ("[destinations.events]\nkind = 'webhook'", "url and secret_file"),
        ("[destinations.notifications]\nkind = 'smtp'", "smtp needs host"),
        ("[destinations.documents]\nkind = 'cosmos'", "cosmos needs url"),
        ("[api", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        config.load(written(tmp_path, text))
    assert why in str(caught.value)
    assert "mol.toml" in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError):
        config.load(tmp_path / "other.toml")


def test_relative_places_are_seen_from_the_files_folder(tmp_path: Path) -> None:
    settings = config.load(written(tmp_path, ""))
    elsewhere = config.load(written(tmp_path, '[database]\nurl = "postgresql+asyncpg://db/mol"'))

    assert database_url(settings) == f"sqlite+aiosqlite:///{tmp_path.resolve()}/mol.db"
    assert database_url(elsewhere) == "postgresql+asyncpg://db/mol"


def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    limits = limits_of(config.load(written(tmp_path, "[seal]\nmax_age_hours = 2")).seal)

    assert (limits.max_age, limits.require_signature) == (timedelta(hours=2), True)


def test_a_folder_without_job_plans_is_a_mistake_and_so_is_a_missing_secret(tmp_path: Path) -> None:
    settings = config.load(written(tmp_path, ""))
    with pytest.raises(errors.ConfigError):
        load_plans(tmp_path)
    with pytest.raises(errors.ConfigError):
        secret(settings, Path("secret"))
    (tmp_path / "secret").write_text("abc\n", encoding="utf-8")
    assert secret(settings, Path("secret")) == "abc"


def test_each_asset_has_its_technician_or_the_common_one(tmp_path: Path) -> None:
    text = '[orders.assets."1/a"]\ntype = "robot"\ntechnician = "a@x.example"\n'
    settings = config.load(written(tmp_path, text))
    section = settings.destinations.notifications
    assert section is not None

    recipient = recipients(settings, section)

    assert (recipient("1/a"), recipient("1/b")) == ("a@x.example", section.recipient)
