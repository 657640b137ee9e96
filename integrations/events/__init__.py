"""CloudEvents 1.0: into a file, or to a webhook that can tell who sent them."""

from __future__ import annotations

from integrations.events.file import EventsFile
from integrations.events.webhook import Webhook

__all__ = ["EventsFile", "Webhook"]
