"""The determinism profile: when two runs of one detector agree; and the card that names a detector.

Scores are compared as integers, q = round(1e5 * min(score, 20)). Two parties agree when
|q1 - q2| <= 1 + max(q1, q2) / 16384: about 24 times the largest deviation measured between
implementations in domain (4.2e-7, another float32 implementation against ONNX Runtime on CPU);
AVX-512, ARM and GPUs were not measured. A score is never hashed for comparison: another CPU may
round to a neighbouring integer.
"""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ledger_service.domain import canonical, errors, ids
from ledger_service.domain.jobplan import Slug
from ledger_service.domain.units import Quantity

PROFILE = "ort-cpu-1thread/1"
SCALE = 100_000
EXPONENT = -5
UNIT = "1"
MAX_SCORE = 20
TOLERANCE_SHIFT = 14


class Agreement(StrEnum):
    """What an own run says about the claim."""

    BIT_EQUAL = "bit-equal"  #: the same integer
    WITHIN = "within tolerance"  #: another integer, as near as the profile allows
    BORDERLINE = (
        "borderline"  #: near, but on the other side of the threshold: either verdict is right
    )
    CONFLICT = "conflict"  #: not near: the claim does not come from these bytes and this detector


def quantise(score: float) -> int:
    """Return the integer that stands for a score. Raise BadSample for NaN, infinity, negatives."""
    if not math.isfinite(score) or score < 0:
        raise errors.BadSample("Not a score.", found=score)
    return round(SCALE * min(score, MAX_SCORE))


def agree(first: int, second: int) -> bool:
    """Say whether two quantised scores are near enough; integers only, so all parties say the same."""
    return abs(first - second) <= 1 + (max(first, second) >> TOLERANCE_SHIFT)


def classify(claimed: int, recomputed: int, threshold: int) -> Agreement:
    """Compare an own run with the claim; all three quantised."""
    if claimed == recomputed:
        return Agreement.BIT_EQUAL
    if not agree(claimed, recomputed):
        return Agreement.CONFLICT
    if (claimed > threshold) != (recomputed > threshold):
        return Agreement.BORDERLINE
    return Agreement.WITHIN


def quantity(score: int) -> Quantity:
    """Return a quantised score as it stands in a statement."""
    return Quantity(score, EXPONENT, UNIT)


def points(score: int) -> str:
    """Write a quantised score as people read it: 6.44914."""
    return f"{quantity(score).decimal():f}"


def of_quantity(claimed: Quantity) -> int:
    """Read a statement's score or threshold. Raise UnknownField for another scale or unit."""
    in_range = 0 <= claimed.value <= SCALE * MAX_SCORE
    if (claimed.exponent, claimed.unit) != (EXPONENT, UNIT) or not in_range:
        raise errors.UnknownField(
            "Not a score of this profile.",
            found=claimed,
            expected=f"exponent {EXPONENT}, unit 1, at most {SCALE * MAX_SCORE}",
        )
    return claimed.value


Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Input(_Strict):
    """What a detector reads: a CSV of one header line and one row per sample.

    `columns` are found by their names; whatever else the file holds (time stamps, labels) is not read.
    """

    media_type: Text = Field(alias="mediaType")
    columns: tuple[Text, ...] = Field(min_length=1, max_length=256, strict=False)
    units: tuple[Text, ...] = Field(min_length=1, max_length=256, strict=False)
    separator: Literal[",", ";", "\t"] = ","
    period_seconds: int = Field(ge=1, le=86_400, alias="periodSeconds")
    min_rows: int = Field(ge=1, alias="minRows")
    max_rows: int = Field(ge=1, le=10_000_000, alias="maxRows")

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        if len(self.columns) != len(self.units):
            raise ValueError("each column needs one unit")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column stands twice")
        if self.min_rows > self.max_rows:
            raise ValueError("minRows is more than maxRows")
        return self


class DetectorCard(_Strict):
    """All that makes a detector what it is. Its id is the SHA-256 of its canonical JSON.

    `threshold`: quantised score above which it alarms. `modelDigest`: SHA-256 of model.onnx.
    """

    name: Slug
    version: int = Field(ge=1)
    asset_type: Slug = Field(alias="assetType")
    failure_modes: tuple[Slug, ...] = Field(min_length=1, alias="failureModes", strict=False)
    model_digest: Digest = Field(alias="modelDigest")
    input: Input
    threshold: int = Field(ge=1, le=SCALE * MAX_SCORE)
    profile: Text
    training: Text

    def dumps(self) -> bytes:
        """Write the card: canonical JSON."""
        return canonical.dumps(self.model_dump(by_alias=True, mode="json"))

    @property
    def id(self) -> ids.DetectorId:
        """Return the detector's id, as it is registered on chain."""
        return ids.DetectorId(hashlib.sha256(self.dumps()).digest())


def load_card(data: bytes) -> DetectorCard:
    """Read a card. Raise MalformedJson, UnknownField."""
    fields: Any = canonical.loads(data)
    try:
        card = DetectorCard.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise errors.UnknownField(f"Detector card: {place}: {first['msg']}") from exc
    if card.profile != PROFILE:
        raise errors.UnknownField("Another profile.", found=card.profile, expected=PROFILE)
    return card
