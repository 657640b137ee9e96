from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ledger_service.files import write_secret


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_for_its_owner_alone_whatever_lay_there_before(tmp_path: Path) -> None:
    place = tmp_path / "new folder" / "token"
    write_secret(place, "first")
    place.chmod(0o644)

    with place.open(encoding="utf-8") as held_by_another:
        write_secret(place, "second")
        assert held_by_another.read() == "first"

    assert (place.read_text("utf-8"), mode(place)) == ("second", 0o600)
    assert list(place.parent.iterdir()) == [place]


def test_a_secret_does_not_follow_a_link_to_where_others_read(tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.write_text("", encoding="utf-8")
    place = tmp_path / "token"
    place.symlink_to(public)

    write_secret(place, "secret")

    assert public.read_text("utf-8") == ""
    assert (place.is_symlink(), place.read_text("utf-8"), mode(place)) == (False, "secret", 0o600)


def test_a_secret_that_cannot_be_put_in_its_place_is_left_nowhere(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.mkdir()

    with pytest.raises(IsADirectoryError):
        write_secret(place, "secret")

    assert list(tmp_path.iterdir()) == [place]
