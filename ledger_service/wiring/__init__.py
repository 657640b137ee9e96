"""Where ports get their real implementations: settings in, a service that runs out."""

from ledger_service.wiring.service import Service, open_service

__all__ = ["Service", "open_service"]
