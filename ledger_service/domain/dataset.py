"""A dataset: files under safe paths, one root over all of them.

File root: RFC 9162 tree over chunks of the file (64 KiB, 1 MiB or 4 MiB; the last one is shorter).
Dataset root: RFC 9162 tree over the entries sorted by path (by code point, which is the order of
their UTF-8 bytes); a leaf is the canonical JSON (RFC 8785) of {path, size, mediaType, chunk, root}.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger_service.domain import canonical, errors, merkle
from ledger_service.domain.ids import DatasetRoot, FileRoot

KIB = 1024
MIB = 1024 * KIB
CHUNK_SIZES = (64 * KIB, MIB, 4 * MIB)
DEFAULT_CHUNK = MIB
MAX_PATH_BYTES = 512
MAX_FILES = 4096

# Unassigned ones (Cn) may get another normal form with a later Unicode.
_NOT_PRINTED = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a dataset. `size` in bytes, `chunk` in bytes, `root` 32 bytes."""

    path: str
    size: int
    media_type: str
    chunk: int
    root: FileRoot

    def __post_init__(self) -> None:
        check_path(self.path)
        check_chunk(self.chunk)
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise errors.UnknownField(
                "Not a media type (RFC 6838).", found=repr(self.media_type[:80])
            )
        if self.size < 0 or self.size > canonical.MAX_SAFE_INTEGER:
            raise errors.UnknownField("Not a file size.", found=self.size)

    def leaf(self) -> bytes:
        """Return the leaf data of this entry in the dataset tree."""
        return canonical.dumps(
            {
                "path": self.path,
                "size": self.size,
                "mediaType": self.media_type,
                "chunk": self.chunk,
                "root": self.root.hex(),
            }
        )


def dataset_root(entries: Iterable[Entry]) -> DatasetRoot:
    """Return the root over the entries, in whatever order they come.

    Raise EmptyDataset, TooLarge, DuplicatePath (also where one path is a folder of another, or
    two differ in case only).
    """
    ordered = check_entries(entries)
    return DatasetRoot(merkle.tree_root(merkle.leaf_hash(entry.leaf()) for entry in ordered))


def check_entries(entries: Iterable[Entry]) -> Sequence[Entry]:
    """Sort the entries by path and check that together they make a dataset."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    if not ordered:
        raise errors.EmptyDataset
    if len(ordered) > MAX_FILES:
        raise errors.TooLarge(
            "Too many files.", found=len(ordered), expected=f"at most {MAX_FILES}"
        )
    # Where case is not told apart, A.csv and a.csv are one file: whoever checks there would lose one.
    seen: set[str] = set()
    for entry in ordered:
        if (place := entry.path.casefold()) in seen:
            raise errors.DuplicatePath(found=repr(entry.path))
        seen.add(place)
    for place in seen:
        parts = place.split("/")
        for depth in range(1, len(parts)):
            if (folder := "/".join(parts[:depth])) in seen:
                raise errors.DuplicatePath("A file is also a folder.", found=repr(folder))
    return ordered


def check_path(path: str) -> None:
    """Raise UnsafePath unless `path` is relative, POSIX, NFC, printable, and safe on any system."""
    problem = _path_problem(path)
    if problem:
        raise errors.UnsafePath(problem, found=repr(path[:80]))


def _path_problem(path: str) -> str:
    try:
        encoded = path.encode("utf-8", "strict")
    except UnicodeEncodeError:
        return "Not UTF-8."
    if not encoded or len(encoded) > MAX_PATH_BYTES:
        return f"Expected 1 to {MAX_PATH_BYTES} bytes."
    if "\\" in path or any(unicodedata.category(c) in _NOT_PRINTED for c in path):
        return "Backslash, control or unassigned character."
    if unicodedata.normalize("NFC", path) != path:
        return "Not in normal form C."
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "Empty, '.' or '..' component."
    if any(part.endswith((".", " ")) for part in path.split("/")):
        return "A component ends with a dot or a space, which some systems drop."
    if re.match(r"[A-Za-z]:", path):
        return "Drive letter."
    return ""


def check_chunk(chunk: int) -> None:
    """Raise BadChunkSize unless `chunk` is one of the listed sizes."""
    if chunk not in CHUNK_SIZES:
        raise errors.BadChunkSize(found=chunk, expected=" | ".join(map(str, CHUNK_SIZES)))


class FileHasher:
    """Takes the bytes of a file as they stream, in pieces of any size; gives root and size.

    Nothing is copied and nothing is kept of the bytes: each piece goes straight into its leaf's hash.
    """

    __slots__ = ("_filled", "_leaf", "_tree", "chunk", "size")

    def __init__(self, chunk: int = DEFAULT_CHUNK) -> None:
        check_chunk(chunk)
        self.chunk = chunk
        self.size = 0
        self._filled = 0
        self._leaf = merkle.new_leaf()
        self._tree = merkle.TreeHasher()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next bytes; the buffer may be used again at once."""
        view, at = memoryview(data), 0
        self.size += len(view)
        while at < len(view):
            piece = view[at : at + self.chunk - self._filled]
            self._leaf.update(piece)
            at += len(piece)
            self._filled += len(piece)
            if self._filled == self.chunk:
                self._tree.append(self._leaf.digest())
                self._leaf, self._filled = merkle.new_leaf(), 0

    def root(self) -> FileRoot:
        """Return the root of what was given so far; an empty file has the empty tree's root."""
        if not self._filled:
            return FileRoot(self._tree.root())
        whole = self._tree.copy()
        whole.append(self._leaf.copy().digest())
        return FileRoot(whole.root())
