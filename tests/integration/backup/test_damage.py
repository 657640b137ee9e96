from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger_service.domain import errors
from ledger_service.domain.backup_errors import BackupDamaged
from ledger_service.storage import copies
from ledger_service.storage.copies import DIGEST_DIGITS, Copy
from ledger_service.wiring import backup
from tests.integration.backup.service import Make, Service, quiet

Harm = Callable[[Path], None]


@pytest.fixture
async def kept(make_service: Make, tmp_path: Path) -> Copy:
    service = make_service("sqlite")
    await service.fill()
    return await service.back_up(tmp_path / "safe")


def files(copy: Copy) -> list[Path]:
    """Return every file that a copy is made of, its objects too."""
    home = copy.folder.parent
    found = [path for place in (copy.folder, home / "objects") for path in place.rglob("*")]
    return sorted(path for path in found if path.is_file())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.SystemRandom().randrange(len(data))] ^= 1 << random.SystemRandom().randrange(8)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def objects_in(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


async def test_an_object_that_rotted_in_the_folder_is_mended_by_the_next_copy(
    make_service: Make, tmp_path: Path
) -> None:
    service, home = make_service("sqlite"), tmp_path / "safe"
    await service.fill()
    first = await service.back_up(home)
    for path in objects_in(home):
        flip(path)
    with pytest.raises(BackupDamaged):
        await backup.check(first, quiet)

    second = await service.back_up(home)

    for copy in (first, second):
        assert await backup.check(copy, quiet) == ()


async def test_an_object_that_rotted_in_the_plant_is_mended_by_a_restore(
    make_service: Make, tmp_path: Path
) -> None:
    service, home = make_service("sqlite"), tmp_path / "safe"
    await service.fill()
    await service.back_up(home)
    whole = service.stored()
    for path in objects_in(service.folder):
        flip(path)

    restored = await service.restore(home, replace=True)

    assert service.stored() == whole
    assert (restored.copied.new, restored.copied.missing) == (len(whole), ())


async def test_of_a_copy_with_a_rotten_object_all_else_comes_back_if_told_and_it_is_named(
    make_service: Make, kept: Copy
) -> None:
    home, new = kept.folder.parent, make_service("sqlite")
    rotten, lost, *_ = objects_in(home)
    flip(rotten)
    lost.unlink()
    damaged = {str(path.relative_to(home / "objects")) for path in (rotten, lost)}
    await refused(new, home)

    restored = await new.restore(home, allow_missing=True)

    assert set(restored.copied.missing) == damaged
    assert set(new.stored()) == {key for key, _ in kept.objects()} - damaged
    assert (await new.rows())["evidence"]


async def test_rows_that_are_damaged_do_not_come_back_though_objects_may_be_missing(
    make_service: Make, kept: Copy
) -> None:
    new = make_service("sqlite")
    flip(kept.folder / "evidence.jsonl.gz")

    with pytest.raises(BackupDamaged):
        await new.restore(kept.folder.parent, allow_missing=True)

    assert await new.is_untouched()


def replace_by_a_link(path: Path) -> None:
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    path.symlink_to(aside)


async def refused(new: Service, home: Path) -> None:
    with pytest.raises(BackupDamaged):
        await new.restore(home)
    assert await new.is_untouched()


@pytest.mark.parametrize("harm", [flip, cut, grow, Path.unlink], ids=lambda harm: harm.__name__)
async def test_whichever_file_is_harmed_it_is_told_before_anything_is_touched(
    make_service: Make, tmp_path: Path, kept: Copy, harm: Harm
) -> None:
    for number, path in enumerate(files(kept)):
        home = tmp_path / f"harmed-{number}"
        shutil.copytree(kept.folder.parent, home)
        harm(home / path.relative_to(kept.folder.parent))

        await refused(make_service("sqlite"), home)


async def test_a_link_in_the_place_of_a_part_is_not_followed(
    make_service: Make, tmp_path: Path, kept: Copy
) -> None:
    for path in files(kept):
        if path.parent == kept.folder:
            home = tmp_path / f"linked-{path.name}"
            shutil.copytree(kept.folder.parent, home)
            replace_by_a_link(home / path.relative_to(kept.folder.parent))

            await refused(make_service("sqlite"), home)


async def test_a_damaged_copy_does_not_stand_in_the_way_of_an_older_one(
    make_service: Make, kept: Copy
) -> None:
    home = kept.folder.parent
    shutil.copytree(kept.folder, home / f"2999{kept.name[4:-4]}0000")
    assert len(copies.listed(home)) == 2
    await refused(make_service("sqlite"), home)

    other = make_service("sqlite")
    await other.restore(home, kept.name)

    assert (await other.rows())["evidence"]


def forge(copy: Copy, home: Path, change: Callable[[dict[str, Any], Path], None]) -> None:
    """Make another copy, whose manifest fits its name whatever it tells."""
    shutil.copytree(copy.folder.parent, home)
    folder = home / copy.name
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest, folder)
    data = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()[:DIGEST_DIGITS]
    folder.rename(home / f"{copy.name.partition('-')[0]}-{digest}")


def part_of(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        part for part in (*manifest["tables"], manifest["objects"]) if part["name"] == name
    )
    return found


def rewrite(manifest: dict[str, Any], folder: Path, name: str, lines: bytes, rows: int) -> None:
    """Put other lines into a part, and let the manifest tell of them."""
    packed = gzip.compress(lines)
    (folder / f"{name}.jsonl.gz").write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    part_of(manifest, name).update(sha256=digest, size=len(lines), rows=rows)


def leaves_the_folder(manifest: dict[str, Any], _: Path) -> None:
    part_of(manifest, "token")["name"] = "../../../etc/passwd"


def objects_leave_the_folder(manifest: dict[str, Any], folder: Path) -> None:
    rewrite(manifest, folder, "_objects", b'["files/../../../../x",1]\n', 1)


def objects_lie_elsewhere(manifest: dict[str, Any], folder: Path) -> None:
    rewrite(manifest, folder, "_objects", b'["incoming/x",1]\n', 1)


def unpacks_without_end(manifest: dict[str, Any], folder: Path) -> None:
    rewrite(manifest, folder, "token", b"0" * 50_000_000, 1)
    part_of(manifest, "token")["size"] = 1000


def has_more_rows(manifest: dict[str, Any], _: Path) -> None:
    part_of(manifest, "token")["rows"] += 1


def has_another_table(manifest: dict[str, Any], _: Path) -> None:
    part_of(manifest, "token")["name"] = "sqlite_master"


def has_another_column(manifest: dict[str, Any], _: Path) -> None:
    columns = part_of(manifest, "token")["columns"]
    part_of(manifest, "token")["columns"] = {f"{name}x": kind for name, kind in columns.items()}


def has_no_bytes_where_bytes_belong(manifest: dict[str, Any], folder: Path) -> None:
    row = ["t", "?" * 8, "operator", "", "2026-11-24T09:00:00+00:00", None, None]
    rewrite(manifest, folder, "token", json.dumps(row).encode() + b"\n", 1)


def does_not_tell_what_it_was_restored_from(manifest: dict[str, Any], folder: Path) -> None:
    row = [1, "restored", base64.b64encode(bytes(32)).decode(), {"copyOf": "yesterday"}]
    rewrite(manifest, folder, "feed", json.dumps(row).encode() + b"\n", 1)


def is_of_another_format(manifest: dict[str, Any], _: Path) -> None:
    manifest["format"] = 2


def tells_more_than_it_may(manifest: dict[str, Any], _: Path) -> None:
    manifest["command"] = "rm -rf /"


FORGED = [
    leaves_the_folder,
    objects_leave_the_folder,
    objects_lie_elsewhere,
    unpacks_without_end,
    has_more_rows,
    has_another_table,
    has_another_column,
    has_no_bytes_where_bytes_belong,
    does_not_tell_what_it_was_restored_from,
    is_of_another_format,
    tells_more_than_it_may,
]


@pytest.mark.parametrize("change", FORGED, ids=lambda change: change.__name__)
async def test_a_forged_copy_whose_digests_fit_is_not_brought_back_either(
    make_service: Make,
    tmp_path: Path,
    kept: Copy,
    change: Callable[[dict[str, Any], Path], None],
) -> None:
    forge(kept, tmp_path / "forged", change)
    new = make_service("sqlite")

    with pytest.raises(BackupDamaged):
        await new.restore(tmp_path / "forged")

    assert not list(new.folder.glob("mol.db*")), "nothing half, and nothing under another name"
    assert set(new.stored()) <= {key for key, _ in kept.objects()}


async def test_a_copy_of_a_newer_schema_is_refused(
    make_service: Make, tmp_path: Path, kept: Copy
) -> None:
    forge(kept, tmp_path / "newer", lambda manifest, _: manifest.update(schema="9999"))
    new = make_service("sqlite")

    with pytest.raises(errors.ConfigError, match="newer program"):
        await new.restore(tmp_path / "newer")

    assert await new.is_untouched()


async def test_what_is_not_a_whole_copy_is_not_listed(tmp_path: Path, kept: Copy) -> None:
    home = kept.folder.parent
    (home / ".making-1").mkdir()
    (home / "20261125T000000Z-short").mkdir()
    (home / f"2999{kept.name[4:]}").symlink_to(kept.folder)

    assert copies.listed(home) == [kept.name]
    with pytest.raises(errors.NotFound), copies.reading(home, "../safe"):
        pass
    with pytest.raises(errors.NotFound), copies.reading(tmp_path / "nowhere"):
        pass
    await backup.check(kept, quiet)
