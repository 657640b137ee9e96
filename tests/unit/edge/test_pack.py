from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from edge.evidence import bundle
from edge.evidence.device import Device, Link, make_key
from edge.evidence.pack import draft, list_files, seal
from ledger_service.domain import dsse, errors, key_errors, statement
from tests.unit.edge.plant import Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path / "plant")


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_folder_becomes_a_statement_that_its_device_signed(tmp_path: Path, kind: str) -> None:
    plant = Plant(tmp_path / "plant", kind)
    (plant.data / "photos").mkdir()
    (plant.data / "photos" / "spindle.jpg").write_bytes(b"jpeg")
    (plant.data / "empty").write_bytes(b"")

    path, evidence = plant.pack()

    with bundle.read(path) as found:
        claim = statement.loads(dsse.loads(found.envelope).payload)
        statement.verify_signature(dsse.loads(found.envelope), claim)
        assert found.evidence == evidence
        assert [e.path for e in claim.entries] == ["empty", "photos/spindle.jpg", "samples.csv"]
        assert b"".join(found.chunks("photos/spindle.jpg")) == b"jpeg"
    assert claim.failure_mode == "dull-tool"
    assert (claim.window.end - claim.window.start).total_seconds() == 120 * 60
    assert claim.device == plant.device.id


def test_the_same_folder_gives_the_same_bundle_whatever_its_time_stamps(plant: Plant) -> None:
    claim = plant.draft()
    _, envelope = seal(claim, plant.device)
    bundle.write(plant.root / "one", envelope, plant.data, claim)
    os.utime(plant.data / "samples.csv", (0, 0))
    bundle.write(plant.root / "two", envelope, plant.data, claim)

    assert (plant.root / "one").read_bytes() == (plant.root / "two").read_bytes()


def test_the_devices_statements_make_a_chain_that_survives_a_restart(plant: Plant) -> None:
    _, first = plant.pack("one")
    again = Device(plant.root / "robot.pem")
    claim = draft(plant.data, plant.subject, again)

    assert again.link() == Link(1, first)
    assert (claim.sequence, claim.previous) == (2, first)


def test_a_statement_lost_after_its_number_was_taken_is_a_gap_and_never_a_fork(
    plant: Plant,
) -> None:
    lost = seal(plant.draft(), plant.device)[0]
    claim = plant.draft()

    assert (claim.sequence, claim.previous) == (2, lost)


def test_a_state_that_cannot_be_read_is_not_taken_for_a_new_chain(plant: Plant) -> None:
    plant.pack()
    (plant.root / "robot.pem.state.json").write_text("{", encoding="utf-8")

    with pytest.raises(errors.BrokenLog):
        plant.draft()


def test_a_key_is_readable_by_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    make_key(tmp_path / "k.pem")

    assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "k.pem")


@pytest.mark.parametrize("text", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAA\n"])
def test_what_is_no_device_key_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "k.pem").write_bytes(text)

    with pytest.raises(key_errors.BadDeviceKey):
        Device(tmp_path / "k.pem")


def test_a_device_key_that_is_not_there_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(
        key_errors.KeyMissing, match=r"cannot be read\. \(file .*k\.pem, why No such"
    ):
        Device(tmp_path / "k.pem")


def test_an_empty_folder_and_one_that_is_not_there_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)

    with pytest.raises(errors.EmptyDataset):
        list_files(tmp_path / "empty")
    with pytest.raises(errors.NotFound):
        list_files(tmp_path / "nowhere")


@pytest.mark.parametrize("target", ["samples.csv", "/etc/hostname", "../..", "gone"])
def test_a_symbolic_link_is_refused_wherever_it_points(plant: Plant, target: str) -> None:
    (plant.data / "link").symlink_to(target)

    with pytest.raises(errors.UnsafePath, match="symbolic link"):
        plant.draft()


def test_what_is_neither_file_nor_folder_is_refused_and_not_left_out(plant: Plant) -> None:
    os.mkfifo(plant.data / "pipe")

    with pytest.raises(errors.UnsafePath, match="Neither file nor folder"):
        plant.draft()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"\xff.csv", "Not UTF-8"),
        (b"a\\..\\b", "Backslash"),
        (b"line\nbreak", "control"),
        ("e\u0301".encode(), "normal form C"),
        ("left\u202eright".encode(), "control"),
        (b"C:drive", "Drive letter"),
    ],
)
def test_a_name_that_is_not_safe_everywhere_is_refused(plant: Plant, name: bytes, why: str) -> None:
    Path(os.fsdecode(os.fsencode(plant.data) + b"/" + name)).write_bytes(b"x")

    with pytest.raises(errors.UnsafePath, match=why):
        plant.draft()


@pytest.mark.parametrize("path", ["../robot.pem", "/etc/hostname", "nowhere.csv", "."])
def test_the_detectors_input_must_be_a_file_of_the_dataset(plant: Plant, path: str) -> None:
    (plant.root / "outside.csv").write_bytes(b"x")
    subject = type(plant.subject)("1/robot-7", plant.detector, path, plant.subject.end)

    with pytest.raises(errors.MissingFile):
        draft(plant.data, subject, plant.device)


def test_an_input_that_changes_between_hashing_and_scoring_is_refused(plant: Plant) -> None:
    (plant.data / "zzz").write_bytes(b"hashed last")
    told: list[int] = []

    def change(count: int) -> None:
        told.append(count)
        if len(told) == 2:
            (plant.data / "samples.csv").write_bytes(b"other")

    with pytest.raises(errors.DigestMismatch, match="changed while it was packed"):
        draft(plant.data, plant.subject, plant.device, progress=change)
    assert plant.device.link() == Link()


@pytest.mark.parametrize("change", [b"", b"other bytes, other length", b"same lengtH"])
def test_a_file_that_changes_before_it_is_copied_leaves_no_bundle(
    plant: Plant, change: bytes
) -> None:
    (plant.data / "note").write_bytes(b"same length")
    claim = plant.draft()
    _, envelope = seal(claim, plant.device)
    (plant.data / "note").write_bytes(change)

    with pytest.raises(errors.DigestMismatch, match="changed while it was packed"):
        bundle.write(plant.root / "e.evidence", envelope, plant.data, claim)
    assert sorted(path.name for path in plant.root.iterdir()) == [
        "data",
        "robot.pem",
        "robot.pem.state.json",
    ]


def test_a_bundle_that_was_there_stays_when_a_new_one_fails(plant: Plant) -> None:
    path, _ = plant.pack()
    before = path.read_bytes()
    claim = plant.draft()
    (plant.data / "samples.csv").unlink()

    with pytest.raises(FileNotFoundError):
        bundle.write(path, b"{}", plant.data, claim)
    assert path.read_bytes() == before
