"""Settings of an agent: `agent.toml`, and `MOL_AGENT_*` in the environment, which wins.

Nested names join with two underscores: `MOL_AGENT_POLICY__COST_LIMIT=200000`. Relative paths are
relative to the file's folder. Keys and passwords are never settings: settings name files that hold them.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ledger_service.domain import errors
from ledger_service.toml_settings import TomlSettings
from validators.rules.policy import Policy

DEFAULT_FILE = Path("agent.toml")


class AgentSettings(TomlSettings):
    """Everything that an agent can be told.

    `node`: name of the organisation's own node in the network file, the only one that is believed;
    empty: all of them. `models`: a folder with one folder per detector. `folder`: journal, kept
    bytes and decisions.
    """

    model_config = SettingsConfigDict(
        env_prefix="MOL_AGENT_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    organisation: int = Field(ge=1, le=255)
    network: Path = Path("network.json")
    node: str = ""
    deployment: Path = Path("deployment.json")
    keystore: Path = Path("verdict.json")
    password_file: Path = Path("verdict.password")
    models: Path = Path("models")
    service: str = Field(default="http://127.0.0.1:8600", pattern=r"^https?://")
    token_file: Path = Path("token")
    folder: Path = Path()
    policy: Policy = Policy()

    @property
    def home(self) -> Path:
        """Return the folder that the agent writes in."""
        return self.path(self.folder)


def load(file: Path | None = None) -> AgentSettings:
    """Read the file (default: $MOL_AGENT_CONFIG, then ./agent.toml) and the environment.

    Raise ConfigError that names each wrong field, what was found and what is expected.
    """
    path = file or Path(os.environ.get("MOL_AGENT_CONFIG", DEFAULT_FILE))
    return AgentSettings.read(path, required=True)


def read_token(settings: AgentSettings) -> str:
    """Return the bearer token. Raise ConfigError."""
    file = settings.path(settings.token_file)
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise errors.ConfigError("The token cannot be read.", file=file) from exc
