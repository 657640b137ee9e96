"""Settings from a TOML file and the environment, which wins; wrong ones are explained, field by field."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from ledger_service.domain import errors


class TomlSettings(BaseSettings):
    """Settings whose relative paths are seen from the folder of their file, `root`."""

    root: Path = Path()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which comes in by `init_settings`."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @classmethod
    def read(cls, file: Path, *, required: bool) -> Self:
        """Read a file and the environment; a file that is not required may be missing.

        Raise ConfigError that names each wrong field, what was found and what is expected.
        """
        fields = _fields(file) if required or file.is_file() else {}
        try:
            return cls(**{"root": file.parent, **fields})
        except ValidationError as exc:
            raise errors.ConfigError(_explain(file, exc)) from exc

    def path(self, relative: Path) -> Path:
        """Return a path of the settings as seen from the file's folder."""
        return self.root / relative


def _fields(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise errors.ConfigError("The settings cannot be read.", found=file) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise errors.ConfigError(f"{file} is not TOML: {exc}") from exc


def _explain(file: Path, problem: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']}"
        for item in problem.errors()
    ]
    return f"{file}: " + "; ".join(lines)
