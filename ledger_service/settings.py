"""Settings of the service: `mol.toml`, and `MOL_*` in the environment, which wins.

Nested names join with two underscores: `MOL_API__PORT=8080`. Relative paths are relative to the
file's folder. Keys and passwords are never settings: settings name files that hold them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import SettingsConfigDict

from ledger_service.domain import errors
from ledger_service.domain.jobplan import Slug
from ledger_service.toml_settings import TomlSettings

MIB = 1024 * 1024
DEFAULT_FILE = Path("mol.toml")
#: Where the environment says which database, there may be no file at all.
ENOUGH = ("MOL_DATABASE__URL", "MOL_DATABASE")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Api(_Section):
    """Where the API listens, and what of it is public."""

    host: str = "127.0.0.1"
    port: int = Field(default=8600, ge=0, le=65535)
    base_url: str = Field(default="", description="As clients see it; empty: http://host:port")
    public_datasets: bool = True
    public_metrics: bool = True


class Database(_Section):
    """SQLAlchemy URL of SQLite (aiosqlite) or PostgreSQL (asyncpg)."""

    url: str = "sqlite+aiosqlite:///mol.db"


class Storage(_Section):
    """Where bytes are kept, and where evidence may be copied from."""

    url: str = "objects"
    locations: tuple[str, ...] = ()


class Chain(_Section):
    """Nodes and contracts; `network` is the file that `mol network` writes."""

    network: Path = Path("network.json")
    deployment: Path = Path("deployment.json")
    node: str = Field(default="", description="Name of our own node; empty: all of them")


class Builder(_Section):
    """The registered key that proposes."""

    keystore: Path = Path("keys/builder.json")
    password_file: Path = Path("keys/builder.password")
    replace_after_seconds: int = Field(default=300, ge=1)


class Sealing(_Section):
    """Limits of what is taken in. Sizes in bytes."""

    require_signature: bool = True
    max_file: int = Field(default=8 * 1024 * MIB, ge=1)
    max_total: int = Field(default=16 * 1024 * MIB, ge=1)
    backlog: int = Field(default=1000, ge=1)
    max_age_hours: int = Field(default=24 * 30, ge=1)


class Asset(_Section):
    """A machine that orders may be made for."""

    type: Slug
    technician: str = ""


class Orders(_Section):
    """How orders are made. `currency` is ISO 4217."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    job_plans: Path = Path("jobplans")
    assets: dict[str, Asset] = {}


class Relaying(_Section):
    """How deliveries are tried, alike for each destination.

    What failed comes again after `first_pause_seconds`, doubled up to `longest_pause_hours`. After
    `failures` in a row a destination is left alone and tried with one delivery, at least once in
    `longest_silence_seconds`. Payloads of what was settled are dropped after `keep_days`.
    """

    hands: int = Field(default=32, ge=1, le=256, description="Deliveries under way at once")
    lease_seconds: float = Field(default=15, ge=1)
    answer_seconds: float = Field(default=30, gt=0)
    first_pause_seconds: float = Field(default=1, gt=0)
    longest_pause_hours: float = Field(default=6, gt=0)
    failures: int = Field(default=5, ge=1)
    longest_silence_seconds: float = Field(default=60, gt=0)
    keep_days: int = Field(default=90, ge=1)


class Documents(_Section):
    """The order document in a store. Cosmos: `url`, `key_file`, `database`, `container`."""

    kind: Literal["folder", "cosmos"] = "folder"
    path: Path = Path("documents")
    url: str = ""
    key_file: Path | None = None
    database: str = "maintenance"
    container: str = "orders"


class Erp(_Section):
    """Purchase orders as UBL 2.1 files in a drop folder."""

    kind: Literal["ubl"] = "ubl"
    path: Path = Path("purchase-orders")
    buyer: str = "Plant 1"


class Notifications(_Section):
    """E-mail to the technician: over SMTP, or into a mailbox folder."""

    kind: Literal["maildir", "smtp"] = "maildir"
    path: Path = Path("mailbox")
    host: str = ""
    port: int = 587
    sender: str = "maintenance@plant.example"
    recipient: str = "technician@plant.example"
    user: str = ""
    password_file: Path | None = None
    tls: bool = True


class Events(_Section):
    """CloudEvents to a signed webhook, or into a file."""

    kind: Literal["file", "webhook"] = "file"
    path: Path = Path("events.jsonl")
    url: str = ""
    secret_file: Path | None = None
    source: str = "urn:maintenance-order-ledger"


class Destinations(_Section):
    """Where settled facts go; leave one out to switch it off."""

    documents: Documents | None = Documents()
    erp: Erp | None = Erp()
    notifications: Notifications | None = Notifications()
    events: Events | None = Events()


class Settings(TomlSettings):
    """Everything that the service can be told."""

    model_config = SettingsConfigDict(
        env_prefix="MOL_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    api: Api = Api()
    database: Database = Database()
    storage: Storage = Storage()
    chain: Chain = Chain()
    builder: Builder = Builder()
    seal: Sealing = Sealing()
    orders: Orders = Orders()
    destinations: Destinations = Destinations()
    relay: Relaying = Relaying()

    @model_validator(mode="after")
    def _destinations_are_complete(self) -> Self:
        events, mail, documents = (
            self.destinations.events,
            self.destinations.notifications,
            self.destinations.documents,
        )
        if events and events.kind == "webhook" and not (events.url and events.secret_file):
            raise ValueError("destinations.events: a webhook needs url and secret_file")
        if mail and mail.kind == "smtp" and not mail.host:
            raise ValueError("destinations.notifications: smtp needs host")
        if documents and documents.kind == "cosmos" and not (documents.url and documents.key_file):
            raise ValueError("destinations.documents: cosmos needs url and key_file")
        return self

    @property
    def base_url(self) -> str:
        """Return the address under which clients reach the API."""
        return self.api.base_url or f"http://{self.api.host}:{self.api.port}"


def load(file: Path | None = None) -> Settings:
    """Read the file (default: $MOL_CONFIG, then ./mol.toml) and the environment.

    Raise ConfigError that names each wrong field, what was found and what is expected, or says that
    nothing is configured here: defaults alone would be another, empty service.
    """
    named = os.environ.get("MOL_CONFIG")
    path = file or Path(named or DEFAULT_FILE)
    if not (file or named or path.is_file() or any(name in os.environ for name in ENOUGH)):
        raise errors.ConfigError(
            f"There is no {DEFAULT_FILE} here: go to the service's folder, give --config FILE, or "
            f"set MOL_CONFIG or {ENOUGH[0]}.",
            folder=Path.cwd(),
        )
    return Settings.read(path, required=bool(file or named))
