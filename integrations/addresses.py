"""Addresses from the settings, looked at before anything is sent there."""

from __future__ import annotations

from urllib.parse import urlsplit

from ledger_service.domain import errors


def checked_url(url: str) -> str:
    """Return the http(s) address. Raise ConfigError for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise errors.ConfigError("Not an http(s) address.", found=url) from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise errors.ConfigError("Not an http(s) address.", found=url)
    return url
