"""The message to the technician: by SMTP, or into a mailbox folder."""

from __future__ import annotations

from integrations.notifications.maildir import MaildirNotes
from integrations.notifications.smtp import SmtpNotes

__all__ = ["MaildirNotes", "SmtpNotes"]
