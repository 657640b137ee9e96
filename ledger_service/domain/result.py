"""The result document of an approval: what an organisation computed, salted, its digest on chain.

Each organisation's digest is its own (salt); that they agree is judged by score and determinism
profile, see `profile`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ledger_service.domain import canonical, errors, ids, profile

SALT_BYTES = 16
MAX_TEXT = 200
#: What an own run may say of the claim where it is approved; a conflict never is.
APPROVABLE = frozenset(profile.Agreement) - {profile.Agreement.CONFLICT}
_SALT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ResultDocument:
    """`score` is quantised (see `profile`); `agreement` is the class against the device's claim."""

    salt: bytes
    organisation: int
    order: ids.OrderId
    score: int
    runtime: str
    agreement: str

    def dumps(self) -> bytes:
        """Write the document: canonical JSON."""
        return canonical.dumps(
            {
                "salt": self.salt.hex(),
                "organisation": self.organisation,
                "order": self.order.hex(),
                "score": self.score,
                "runtime": self.runtime,
                "class": self.agreement,
            }
        )

    def digest(self) -> ids.ResultDigest:
        """Return what goes on chain with the approval."""
        return result_digest(self.dumps())


def result_digest(document: bytes) -> ids.ResultDigest:
    """Return SHA-256 of a result document's bytes."""
    return ids.ResultDigest(hashlib.sha256(document).digest())


def loads(data: bytes) -> ResultDocument:
    """Read a result document. Raise MalformedJson or UnknownField."""
    fields: Any = canonical.loads(data)
    names = {"salt", "organisation", "order", "score", "runtime", "class"}
    if not isinstance(fields, dict) or fields.keys() != names:
        raise errors.UnknownField("Not a result document.", expected=sorted(names))
    return ResultDocument(
        salt=_salt(_text(fields, "salt")),
        organisation=_number(fields, "organisation", range(1, ids.MAX_HOST + 1)),
        order=ids.OrderId(ids.parse32(_text(fields, "order"))),
        score=_number(fields, "score", range(profile.SCALE * profile.MAX_SCORE + 1)),
        runtime=_text(fields, "runtime"),
        agreement=_agreement(_text(fields, "class")),
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise errors.UnknownField(f"{name}: expected a short text.", found=repr(value)[:80])
    return value


def _number(fields: dict[str, Any], name: str, allowed: range) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        expected = f"{allowed.start} to {allowed.stop - 1}"
        raise errors.UnknownField(f"{name}:", found=repr(value)[:80], expected=expected)
    return value


def _salt(text: str) -> bytes:
    if not _SALT.fullmatch(text):
        raise errors.UnknownField(
            "salt:", found=repr(text[:80]), expected=f"{2 * SALT_BYTES} hex digits"
        )
    return bytes.fromhex(text)


def _agreement(text: str) -> str:
    if text not in APPROVABLE:
        raise errors.UnknownField("class:", found=repr(text[:80]), expected=sorted(APPROVABLE))
    return text


class Reason(IntEnum):
    """Why an organisation refuses; the number stands on chain, the name in every screen."""

    OTHER = 1  #: a person refused; the detail is the digest of what they wrote
    DIGEST_MISMATCH = 2  #: the bytes are not the bytes of the statement
    BAD_SIGNATURE = 3  #: not signed by a device of the asset
    SEQUENCE_FORK = 4  #: the device sealed other bytes under the same number
    DATASET_REPEATED = 5  #: the same dataset was used before
    EPISODE_REPEATED = 6  #: same asset, detector and failure mode within the policy's window
    SCORE_CONFLICT = 7  #: the detector, run again, gives another score
    BELOW_THRESHOLD = 8  #: the detector, run again, does not alarm
    DETECTOR_UNFIT = 9  #: not live, not held, or not for this asset
    WINDOW_STALE = 10  #: the window is too old, lies in the future, or is not that of the samples
    COST_OVER_LIMIT = 11  #: dearer than the policy allows
    COST_DIFFERS = 12  #: the content's cost is not the order document's
    SUPPLIER_NOT_ALLOWED = 13  #: not on the policy's list
    WRONG_ASSET = 14  #: the statement names another asset than the order's version
    DOCUMENT_MISMATCH = 15  #: the order document does not follow from statement and digest
    NOT_PROPOSED = 16  #: approved here, but not proposed in time
    UNREADABLE = 17  #: statement or samples cannot be read
    NOT_ACCOUNTED = 18  #: approved with a former key, and the organisation cannot account for it

    @property
    def title(self) -> str:
        """Return the name as people read it: `Score conflict`."""
        return self.name.replace("_", " ").capitalize()
