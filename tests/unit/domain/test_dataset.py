from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import canonical, dataset, errors, merkle
from ledger_service.domain.dataset import Entry, FileHasher
from tests.unit.domain.small import entry, few, root

CHUNK = dataset.CHUNK_SIZES[0]


@few
@given(
    size=st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]),
    cuts=st.lists(st.integers(1, 2 * CHUNK), max_size=6),
)
def test_the_root_does_not_depend_on_how_the_bytes_arrive(size: int, cuts: list[int]) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    chunks = [data[at : at + CHUNK] for at in range(0, size, CHUNK)]
    hasher, rest = FileHasher(CHUNK), memoryview(data)
    for cut in itertools.chain(cuts, [size]):
        hasher.update(rest[:cut])
        rest = rest[cut:]

    assert hasher.size == size
    assert hasher.root() == merkle.tree_root(merkle.leaf_hash(chunk) for chunk in chunks)


def test_an_empty_file_has_the_root_of_the_empty_tree() -> None:
    assert FileHasher().root() == hashlib.sha256(b"").digest()


def test_the_root_may_be_asked_for_in_between() -> None:
    hasher = FileHasher(CHUNK)
    hasher.update(b"a" * (CHUNK + 1))
    first = hasher.root()
    hasher.update(b"b")

    assert hasher.root() != first
    assert FileHasher(CHUNK).root() == merkle.EMPTY_ROOT


@pytest.mark.parametrize("chunk", [0, -1, 1, 65535, 2 * dataset.MIB, 2**64])
def test_other_chunk_sizes_are_refused(chunk: int) -> None:
    with pytest.raises(errors.BadChunkSize, match=f"found {chunk}, expected 65536"):
        FileHasher(chunk)
    with pytest.raises(errors.BadChunkSize):
        Entry("a", 0, "text/csv", chunk, root("a"))


@few
@given(order=st.permutations(["b", "a/b", "a/a", "é", "Z", "\U0001d11e", "\uffff".replace("\uffff", "\uff5a")]))  # fmt: skip
def test_the_dataset_root_does_not_depend_on_the_order_of_the_entries(order: list[str]) -> None:
    found = dataset.check_entries(entry(path) for path in order)

    assert [e.path.encode() for e in found] == sorted(path.encode() for path in order)
    assert dataset.dataset_root(map(entry, order)) == dataset.dataset_root(
        map(entry, sorted(order))
    )


def test_every_field_of_an_entry_is_in_the_root() -> None:
    base = Entry("a", 1, "text/csv", CHUNK, root("a"))
    others = [
        Entry("b", 1, "text/csv", CHUNK, root("a")),
        Entry("a", 2, "text/csv", CHUNK, root("a")),
        Entry("a", 1, "text/xml", CHUNK, root("a")),
        Entry("a", 1, "text/csv", dataset.MIB, root("a")),
        Entry("a", 1, "text/csv", CHUNK, root("b")),
    ]

    assert len({dataset.dataset_root([e]) for e in [base, *others]}) == 6


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(errors.EmptyDataset):
        dataset.dataset_root([])


def test_more_files_than_a_dataset_may_have_are_refused() -> None:
    with pytest.raises(errors.TooLarge, match="found 4097"):
        dataset.check_entries(entry(f"{i}.csv") for i in range(dataset.MAX_FILES + 1))


@pytest.mark.parametrize(
    "paths",
    [
        ("a.csv", "a.csv"),
        ("a.csv", "A.CSV"),
        ("ä.csv", "Ä.csv"),
        ("a", "a/b"),
        ("A", "a/b/c"),
        ("x/a", "x/A/b"),
        ("straße", "STRASSE/b"),
    ],
)
def test_two_files_never_claim_one_place_on_any_file_system(paths: tuple[str, str]) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(errors.DuplicatePath):
            dataset.dataset_root(entry(path) for path in order)


def test_files_beside_each_other_in_folders_that_differ_in_case_are_two() -> None:
    assert len(dataset.check_entries([entry("A/x"), entry("a/y"), entry("ab"), entry("a.b")])) == 4


@pytest.mark.parametrize(
    "path",
    ["a", "a/b.csv", "é.csv", ".hidden", "..a", "a..b/c", "a b", "2026-11-24T09:00:00.csv", "𝄞", "x" * 512],
)  # fmt: skip
def test_plain_paths_are_taken(path: str) -> None:
    dataset.check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "a/", "//a", "a//b", ".", "..", "./a", "a/./b", "a/../b", "../a",
        "a\\b", "..\\a", "C:a", "c:/a", "a\0", "a\nb", "a\x7f", "a\u202eb", "a\u200bb", "\ufeffa",
        "e\u0301", "\u212b", "\ud800", "a\u2028b", "x" * 513, "é" * 257, "...", "a.", "a ", ".. /a",
        "a. /b", "a/b.", "a\u0378",
    ],
)  # fmt: skip
def test_paths_that_some_system_reads_otherwise_are_refused(path: str) -> None:
    with pytest.raises(errors.UnsafePath, match="found"):
        dataset.check_path(path)


@few
@given(st.text("./\\: aÉ\u0301\0\u202eC", max_size=12))
def test_a_path_is_taken_whole_or_refused_and_never_leaves_its_folder(path: str) -> None:
    try:
        dataset.check_path(path)
    except errors.UnsafePath:
        return
    parts = path.split("/")
    assert all(part.strip(". ") or part[0] not in ". " for part in parts)
    assert not {"", ".", ".."} & set(parts)
    assert not path.startswith(("/", "\\"))


@pytest.mark.parametrize("size", [-1, 2**53])
def test_sizes_that_cannot_be_written_are_refused(size: int) -> None:
    with pytest.raises(errors.UnknownField, match=f"found {size}"):
        entry("a", size=size)


@pytest.mark.parametrize("kind", ["", "csv", "text/", "/csv", "Text/csv", "text/csv; a=b", "a/b\n"])
def test_other_than_media_types_are_refused(kind: str) -> None:
    with pytest.raises(errors.UnknownField, match="media type"):
        entry("a", media_type=kind)


def test_a_leaf_is_canonical_json() -> None:
    leaf = entry("é").leaf()

    assert canonical.dumps(canonical.loads(leaf)) == leaf
    assert leaf.startswith(b'{"chunk":1048576,"mediaType":"text/csv","path":"\xc3\xa9"')
