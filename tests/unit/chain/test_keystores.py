from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.chain.keys import load_keystore, make_keystore, password_beside
from ledger_service.domain import errors, key_errors


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    place = tmp_path / "key.json"
    make_keystore(place)
    return place


def test_a_keystore_that_is_not_there_is_named_and_not_its_password(tmp_path: Path) -> None:
    place = tmp_path / "none.json"

    with pytest.raises(key_errors.KeyMissing, match=r"A key's file cannot be read.*none\.json"):
        load_keystore(place, password_beside(place))


def test_a_password_that_is_not_there_is_named(keystore: Path) -> None:
    password_beside(keystore).unlink()

    with pytest.raises(key_errors.KeyMissing, match=r"key\.password"):
        load_keystore(keystore, password_beside(keystore))


def test_a_wrong_password_is_said_to_be_one(keystore: Path) -> None:
    password_beside(keystore).write_text("another", encoding="utf-8")

    with pytest.raises(errors.BadKeystore, match="Wrong password"):
        load_keystore(keystore, password_beside(keystore))


def test_a_key_is_never_written_over_and_the_refusal_speaks_of_no_password(keystore: Path) -> None:
    before = keystore.read_bytes()

    with pytest.raises(key_errors.KeyExists) as refused:
        make_keystore(keystore)

    assert "password" not in str(refused.value)
    assert keystore.read_bytes() == before
