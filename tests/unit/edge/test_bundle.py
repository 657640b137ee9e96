from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from edge.evidence import bundle
from ledger_service.domain import errors
from tests.unit.edge.plant import Plant

SAMPLES = "files/samples.csv"
Change = Callable[[ZipFile, bytes, bytes], None]


def rewritten(tmp_path: Path, change: Change) -> Path:
    """Write a bundle again as `change` wants it: it is given the archive, envelope, samples."""
    path, _ = Plant(tmp_path / "plant").pack()
    with ZipFile(path) as good:
        envelope, samples = good.read("envelope.json"), good.read(SAMPLES)
    with ZipFile(tmp_path / "bad", "w") as bad, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns about the double name that is wanted
        change(bad, envelope, samples)
    return tmp_path / "bad"


def both(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    bad.writestr("envelope.json", envelope)
    bad.writestr(SAMPLES, samples)


def extra(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    both(bad, envelope, samples)
    bad.writestr("files/../../outside", b"x")


def twice(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    both(bad, envelope, samples)
    bad.writestr(SAMPLES, b"other")


def missing(bad: ZipFile, envelope: bytes, __: bytes) -> None:
    bad.writestr("envelope.json", envelope)


def bare(bad: ZipFile, _: bytes, samples: bytes) -> None:
    bad.writestr(SAMPLES, samples)


def compressed(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    bad.writestr("envelope.json", envelope)
    bad.writestr(SAMPLES, samples, zipfile.ZIP_DEFLATED)


def bomb(bad: ZipFile, _: bytes, __: bytes) -> None:
    bad.writestr("envelope.json", b"{" + b" " * 1_900_000, zipfile.ZIP_DEFLATED)


def link(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    bad.writestr("envelope.json", envelope)
    info = ZipInfo(SAMPLES)
    info.external_attr = 0o120777 << 16
    bad.writestr(info, samples)


def longer(bad: ZipFile, envelope: bytes, samples: bytes) -> None:
    bad.writestr("envelope.json", envelope)
    bad.writestr(SAMPLES, samples + b"x")


def thick(bad: ZipFile, _: bytes, __: bytes) -> None:
    bad.writestr("envelope.json", bytes(bundle.MAX_ENVELOPE + 1))


def garbage(bad: ZipFile, _: bytes, __: bytes) -> None:
    bad.writestr("envelope.json", b"[" * 1_000_000)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (extra, errors.ExtraFile),
        (twice, errors.DuplicatePath),
        (missing, errors.MissingFile),
        (bare, errors.MissingFile),
        (compressed, errors.UnsupportedMedia),
        (bomb, errors.UnsupportedMedia),
        (link, errors.UnsafePath),
        (longer, errors.DigestMismatch),
        (thick, errors.TooLarge),
        (garbage, errors.MalformedJson),
    ],
)
def test_a_bundle_that_is_not_what_its_statement_says_is_refused(
    tmp_path: Path, change: Change, error: type[errors.LedgerError]
) -> None:
    with pytest.raises(error), bundle.read(rewritten(tmp_path, change)):
        pass


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad").write_bytes(data)

    with pytest.raises(errors.UnknownField, match="Not a bundle"), bundle.read(tmp_path / "bad"):
        pass


def test_a_bundle_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound), bundle.read(tmp_path / "none"):
        pass


def test_a_damaged_bundle_is_found_out_while_it_is_sent(tmp_path: Path) -> None:
    path, _ = Plant(tmp_path / "plant").pack()
    data = bytearray(path.read_bytes())
    at = data.index(b"time,speed")
    data[at] ^= 1
    path.write_bytes(data)

    with bundle.read(path) as found, pytest.raises(errors.DigestMismatch, match="damaged"):
        list(found.chunks("samples.csv"))


def test_an_encrypted_member_is_refused_and_no_password_is_tried(tmp_path: Path) -> None:
    path = rewritten(tmp_path, both)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1  # the flags of the first entry in the central directory
    path.write_bytes(data)

    with pytest.raises(errors.UnsupportedMedia, match="encrypted"), bundle.read(path):
        pass
