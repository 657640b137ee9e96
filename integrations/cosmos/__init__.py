"""The order document in Azure Cosmos DB."""

from __future__ import annotations

from integrations.cosmos.documents import CosmosDocuments

__all__ = ["CosmosDocuments"]
