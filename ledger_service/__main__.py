"""`python -m ledger_service` is `mol`."""

from ledger_service.cli import main

main()
