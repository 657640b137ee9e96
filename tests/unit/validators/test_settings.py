from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger_service.domain import errors
from validators import settings

GOOD = """
organisation = 2
node = "node-2"
folder = "state"

[policy]
cost_limit = 5000
suppliers = ["SUP-1"]
"""


def load(tmp_path: Path, text: str) -> settings.AgentSettings:
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    return settings.load(tmp_path / "agent.toml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)

    assert found.home == tmp_path / "state"
    assert found.path(found.keystore) == tmp_path / "verdict.json"
    assert (found.policy.cost_limit, found.policy.suppliers) == (5000, ("SUP-1",))


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOL_AGENT_POLICY__COST_LIMIT", "7")
    monkeypatch.setenv("MOL_AGENT_SERVICE", "https://elsewhere")
    found = load(tmp_path, GOOD)

    assert (found.policy.cost_limit, found.policy.suppliers) == (7, ("SUP-1",))
    assert found.service == "https://elsewhere"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "organisation: Field required"),
        ("organisation = 0", "organisation: Input should be greater than or equal to 1"),
        ("organisation = 256", "organisation: Input should be less than or equal to 255"),
        ("organisation = 2\nkey = '0x00'", "key: Extra inputs are not permitted"),
        ("organisation = 2\nservice = 'ftp://x'", "service: String should match"),
        ("organisation = 2\n[policy]\ncost_limit = 'much'", "policy.cost_limit: Input should be"),
        ("organisation = 2\n[policy]\ncost_limt = 1", "policy.cost_limt: Extra inputs"),
        ("organisation = 2\n[policy]\ncost_limit = -1", "policy.cost_limit: Input should be"),
        ("organisation = 2\n[policy]\ncurrency = 'euro'", "policy.currency: String should match"),
        ("organisation = 2\n[policy]\nremind_minutes = 0", "policy.remind_minutes: Input should"),
        ("organisation = 2\n[policy]\nepisode_hours = 1.5", "policy.episode_hours: Input should"),
        ("organisation = ", "is not TOML"),
    ],
)
def test_a_mistake_is_explained_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        load(tmp_path, text)

    assert says in str(caught.value)
    assert "agent.toml" in str(caught.value)


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        load(tmp_path, "organisation = 0\nservice = 'x'\n[policy]\nepisode_hours = -1")

    assert str(caught.value).count(";") == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match=r"none\.toml"):
        settings.load(tmp_path / "none.toml")


def test_a_token_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="token"):
        settings.read_token(load(tmp_path, GOOD))


def test_a_token_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mol_abc\n", encoding="utf-8")
    (tmp_path / "token").chmod(stat.S_IRUSR)

    assert settings.read_token(load(tmp_path, GOOD)) == "mol_abc"
