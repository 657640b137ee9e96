from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.golden.cases import CASES

FOLDER = Path(__file__).with_name("evidence")


def text_of(case: dict[str, Any]) -> str:
    """Return a golden file's text."""
    return json.dumps(case, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write every golden file anew: `python -m tests.golden.make`."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, case in CASES().items():
        (FOLDER / f"{name}.json").write_text(text_of(case), encoding="utf-8")
    sys.stdout.write(f"{len(list(FOLDER.glob('*.json')))} golden files\n")


if __name__ == "__main__":
    main()
