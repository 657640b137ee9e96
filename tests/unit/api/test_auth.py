from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from ledger_service.api.auth import asset_of, digest_of, make_token
from ledger_service.domain.records import Role

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_token_has_256_random_bits_and_only_its_digest_is_kept() -> None:
    made = [make_token(Role.EDGE, "1/robot-7", NOW) for _ in range(50)]

    assert len({text for text, _ in made}) == 50
    for text, token in made:
        prefix, name, secret = text.split("_", 2)
        assert (prefix, name) == ("mol", token.id)
        assert len(secret) == 43
        assert token.digest == digest_of(text) == hashlib.sha256(text.encode()).digest()
        assert secret not in repr(token)


def test_only_an_edge_token_whose_subject_is_an_asset_is_narrowed_to_it() -> None:
    def narrowed(role: Role, subject: str) -> str:
        return asset_of(make_token(role, subject, NOW)[1])

    assert narrowed(Role.EDGE, "1/robot-7") == "1/robot-7"
    assert narrowed(Role.EDGE, "gateway of hall 4") == ""
    assert narrowed(Role.EDGE, "") == ""
    assert narrowed(Role.OPERATOR, "1/robot-7") == ""
