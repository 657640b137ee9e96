"""Files that are not those of the statement, or not where they may come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.golden.build import content, end, envelope_part, part, plain, request, text, upload
from tests.golden.statements import case
from tests.unit.services.gateway import Gateway, Packed

PLACE = "{locations}"


def offered(
    about: str, code: str, change: Callable[[dict[str, bytes]], object], status: int = 422
) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case that uploads other files than the statement's."""

    def make() -> dict[str, Any]:
        packed = Gateway().pack()
        files = dict(packed.files)
        change(files)
        return case(about, status, code, upload(packed.envelope, files))

    return make


def named(about: str, code: str, filename: str) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case whose first file comes under another name."""

    def make() -> dict[str, Any]:
        packed = Gateway().pack()
        data = text(packed.files["samples.csv"])
        body = [*envelope_part(packed.envelope), *part("file", filename, data), *end()]
        return case(about, 422, code, request(body))

    return make


def twice() -> dict[str, Any]:
    packed = Gateway().pack()
    note = part("file", "note.txt", "same")
    wrong = request([*envelope_part(packed.envelope), *note, *note, *end()])
    return case("The same path twice in the upload", 422, "EV07", wrong)


def over_limit() -> dict[str, Any]:
    small, large = Gateway().pack({"samples.csv": b"1"}), Gateway().pack({"samples.csv": b"22222"})
    return case(
        "A file over the limit",
        413,
        "LM01",
        upload(large.envelope, large.files),
        limits={"max_file": 4},
        right=upload(small.envelope, small.files),
    )


def over_total() -> dict[str, Any]:
    small, large = Gateway().pack({"a": b"1"}), Gateway().pack({"a": b"333", "b": b"333"})
    return case(
        "A dataset over the limit",
        413,
        "LM01",
        upload(large.envelope, large.files),
        limits={"max_total": 5},
        right=upload(small.envelope, small.files),
    )


def inline_wrong() -> dict[str, Any]:
    packed = Gateway().pack()
    files = [{"path": path, "content": content(b"wrong")} for path in packed.files]
    wrong = plain({"envelope": json.loads(packed.envelope), "files": files})
    return case("Other bytes in plain JSON", 422, "EV03", wrong)


def at(
    about: str,
    status: int,
    code: str,
    url: str = f"{PLACE}/allowed/robot",
    missing: str = "",
    **links: str,
) -> Callable[[], dict[str, Any]]:
    """Return the maker of a case that points to a location; `links`: place -> its target."""

    def make() -> dict[str, Any]:
        packed = Gateway().pack({"samples.csv": b"1", "note": b"root"})
        tree: dict[str, Any] = {"allowed/robot/samples.csv": "1", "allowed/robot/note": "root"}
        tree |= {"secret": "root", "outside/samples.csv": "1", "outside/note": "root"}
        tree |= {f"allowed/{name}": {"link": target} for name, target in links.items()}
        tree.pop(f"allowed/{missing}", None)
        wrong = plain(_located(packed, url))
        right = upload(packed.envelope, packed.files)
        return case(about, status, code, wrong, locations=tree, right=right)

    return make


def _located(packed: Packed, url: str) -> dict[str, Any]:
    return {"envelope": json.loads(packed.envelope), "location": {"url": url}}


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "wrong-digest": offered(
        "Other bytes of the same length", "EV03", lambda f: f.update({"samples.csv": b"speed\n2\n"})
    ),
    "longer-file": offered(
        "More bytes than the statement says", "EV03", lambda f: f.update({"note.txt": b"same!"})
    ),
    "shorter-file": offered(
        "Fewer bytes than the statement says", "EV03", lambda f: f.update({"note.txt": b"sam"})
    ),
    "missing-file": offered("A file is missing", "EV04", lambda f: f.pop("note.txt")),
    "no-files": offered("All files are missing", "EV04", lambda f: f.clear()),
    "extra-file": offered(
        "A file that the statement does not name", "EV05", lambda f: f.update({"more.csv": b""})
    ),
    "duplicate-path": twice,
    "traversal-in-upload": named("A file name that leads out", "EV06", "../samples.csv"),
    "encoded-traversal": named(
        "A file name that leads out, encoded", "EV06", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"
    ),
    "not-utf-8-path": named("A file name that is no UTF-8", "EV06", "sam\xff\xfe.csv"),
    "encoded-not-utf-8-path": named("A file name that is no UTF-8, encoded", "EV06", "sam%FF.csv"),
    "empty-path": named("A file without a name", "EV06", ""),
    "overlong-path": named("A file name of 600 characters", "EV06", "a" * 600),
    "file-over-limit": over_limit,
    "dataset-over-limit": over_total,
    "inline-wrong-digest": inline_wrong,
    "location-not-allowed": at("A location outside the list", 422, "EV16", url=f"{PLACE}/outside"),
    "location-beside-prefix": at(
        "A location whose name only begins like an allowed one",
        422,
        "EV16",
        url=f"{PLACE}/allowed-not",
    ),
    "location-other-scheme": at(
        "A location of another kind", 422, "EV16", url="http://169.254.169.254/latest/meta-data"
    ),
    "location-traversal": at(
        "A location that leads out of an allowed one",
        422,
        "EV06",
        url=f"{PLACE}/allowed/../outside",
    ),
    "location-symbolic-link": at(
        "A symbolic link at the location", 422, "EV06", **{"robot/note": "../../secret"}
    ),
    "location-linked-folder": at(
        "A folder at the location that is a symbolic link",
        422,
        "EV06",
        url=f"{PLACE}/allowed/linked",
        linked="../outside",
    ),
    "location-missing-file": at(
        "A file is missing at the location", 422, "EV04", missing="robot/note"
    ),
}
