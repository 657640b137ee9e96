"""A maintenance order: its document (for people and machines) and its content (for the chain).

The document is canonical JSON; its SHA-256 is the order digest. The content is what the contract
takes; its EIP-712 digest, in a domain of this chain and contract, is the order id.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from eth_hash.auto import keccak

from ledger_service.domain import canonical, errors, ids
from ledger_service.domain.jobplan import JobPlan
from ledger_service.domain.statement import Statement
from ledger_service.domain.units import format_time

DOCUMENT_VERSION = 1
CONTENT_TYPE = keccak(
    b"Content(bytes32 evidence,bytes32 datasetRoot,bytes32 orderDigest,bytes32 assetVersion,"
    b"bytes32 detector,address builder,uint64 cost,uint40 deadline,uint24 attempt)"
)
DOMAIN_TYPE = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,"
    b"bytes32 salt)"
)
DOMAIN_NAME = "MaintenanceOrders"
DOMAIN_VERSION = "1"
WORD_BYTES = 32
HORIZON_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True, slots=True)
class OrdersDomain:
    """The EIP-712 domain of one orders contract. `salt` is the hash of block 0."""

    chain_id: int
    contract: ids.Address
    salt: bytes

    def separator(self) -> bytes:
        """Return the domain separator (EIP-712)."""
        return keccak(
            encode(
                ["bytes32", "bytes32", "bytes32", "uint256", "address", "bytes32"],
                [
                    DOMAIN_TYPE,
                    keccak(DOMAIN_NAME.encode()),
                    keccak(DOMAIN_VERSION.encode()),
                    self.chain_id,
                    self.contract,
                    self.salt,
                ],
            )
        )


@dataclass(frozen=True, slots=True)
class Content:
    """All that the chain holds an order to. `cost` in minor units, `deadline` in Unix seconds."""

    evidence: ids.EvidenceId
    dataset_root: ids.DatasetRoot
    order_digest: ids.OrderDigest
    asset_version: ids.VersionId
    detector: ids.DetectorId
    builder: ids.Address
    cost: int
    deadline: int
    attempt: int

    def as_tuple(self) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes, int, int, int]:
        """Return the fields in the contract's order, for ABI encoding."""
        return (
            self.evidence,
            self.dataset_root,
            self.order_digest,
            self.asset_version,
            self.detector,
            self.builder,
            self.cost,
            self.deadline,
            self.attempt,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form: hex without prefix, address with checksum, camel case."""
        return {
            "evidence": self.evidence.hex(),
            "datasetRoot": self.dataset_root.hex(),
            "orderDigest": self.order_digest.hex(),
            "assetVersion": self.asset_version.hex(),
            "detector": self.detector.hex(),
            "builder": ids.checksum(self.builder),
            "cost": self.cost,
            "deadline": self.deadline,
            "attempt": self.attempt,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Content:
        """Read the JSON form. Raise UnknownField for ids that are none and numbers out of range."""
        if missing := {_camel(name) for name in cls.__slots__} - fields.keys():
            raise errors.UnknownField("Not a content.", found=f"no {min(missing)}")
        return cls(
            evidence=ids.EvidenceId(ids.parse32(fields["evidence"])),
            dataset_root=ids.DatasetRoot(ids.parse32(fields["datasetRoot"])),
            order_digest=ids.OrderDigest(ids.parse32(fields["orderDigest"])),
            asset_version=ids.VersionId(ids.parse32(fields["assetVersion"])),
            detector=ids.DetectorId(ids.parse32(fields["detector"])),
            builder=ids.parse_address(fields["builder"]),
            cost=_number(fields, "cost", 64),
            deadline=_number(fields, "deadline", 40),
            attempt=_number(fields, "attempt", 24),
        )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _number(fields: dict[str, Any], name: str, bits: int) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0 or value >> bits:
        raise errors.UnknownField(
            f"{name}: not a number of the contract.", found=repr(value)[:80], expected=f"uint{bits}"
        )
    return value


def order_id(content: Content, domain: OrdersDomain) -> ids.OrderId:
    """Return the EIP-712 digest of the content in the domain of one contract.

    Raise UnknownField for a number or an id that does not fit its place.
    """
    kinds = ["bytes32"] * 6 + ["address", "uint64", "uint40", "uint24"]
    words = [CONTENT_TYPE, *content.as_tuple()]
    if any(len(word) != WORD_BYTES for word in content.as_tuple()[:5]):
        raise errors.UnknownField("An id of another length than 32 bytes.")  # it would be padded
    try:
        struct = keccak(encode(kinds, words))
    except EncodingError as exc:
        raise errors.UnknownField(f"Not a content: {exc}"[:200]) from exc
    return ids.OrderId(keccak(b"\x19\x01" + domain.separator() + struct))


def order_digest(document: bytes) -> ids.OrderDigest:
    """Return SHA-256 of the document's bytes."""
    return ids.OrderDigest(hashlib.sha256(document).digest())


def document(
    *,
    evidence: ids.EvidenceId,
    statement: Statement,
    plan: JobPlan,
    currency: str,
    deadline: datetime,
    attempt: int,
) -> bytes:
    """Write the order document: canonical JSON of all a person needs to decide and to work.

    `currency` is an ISO 4217 code. The same inputs give the same bytes.
    """
    return canonical.dumps(
        {
            "version": DOCUMENT_VERSION,
            "evidence": evidence.hex(),
            "attempt": attempt,
            "asset": statement.asset,
            "assetType": plan.asset_type,
            "failureMode": statement.failure_mode,
            "title": plan.title,
            "detector": statement.detector.hex(),
            "score": statement.score.as_json(),
            "threshold": statement.threshold.as_json(),
            "window": {
                "start": format_time(statement.window.start),
                "end": format_time(statement.window.end),
            },
            "features": [{"name": f.name, **f.quantity.as_json()} for f in statement.features],
            "plan": plan.id,
            "tasks": [task.model_dump() for task in plan.tasks],
            "parts": [part.model_dump(by_alias=True) for part in plan.parts],
            "supplier": plan.supplier.model_dump(),
            "skill": plan.skill,
            "lockOut": list(plan.lock_out),
            "expectedMinutes": plan.expected_minutes,
            "labourCost": plan.labour_cost,
            "cost": {"amount": plan.cost, "currency": currency},
            "priority": plan.priority,
            "deadline": format_time(deadline),
        }
    )


def content_fields(content: Content) -> dict[str, Any]:
    """Return the content's fields by their Python names (for repositories)."""
    return asdict(content)
