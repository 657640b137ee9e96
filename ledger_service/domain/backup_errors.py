"""What is wrong with a backup, or with the place where it is to be brought back."""

from __future__ import annotations

from ledger_service.domain import errors


class BackupDamaged(errors.StorageError):
    """The backup is not as it was made: something is missing, cut short or changed."""

    code = "ST22"


class BackupIncomplete(errors.StorageError):
    """Objects that the database names are not in the object store as they were sealed."""

    code = "ST23"


class NotEmpty(errors.ConfigError):
    """There is something already where the backup is to be brought back; nothing was touched."""

    code = "CO06"
