"""The committed artifacts are of the sources that lie beside them; that they are the compiler's is shown elsewhere."""

from __future__ import annotations

import json

from contracts import build


def test_the_artifacts_are_of_these_sources() -> None:
    digest = build.digest_of(build.read())

    for name in build.PUBLISHED:
        artifact = json.loads((build.ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))
        assert artifact["sources"] == digest, "run `mol contracts build`"
