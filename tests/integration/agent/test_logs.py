from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import structlog
from ledger_service import logs
logs.set_up()
key = "0xdeadbeef"
try:
    assert key == ""
except AssertionError:
    structlog.get_logger().exception("a check failed by itself", order="ab")
"""


def test_a_traceback_in_the_log_names_the_error_and_holds_no_variables() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    line = json.loads(done.stderr)
    assert line["exception"][0]["exc_type"] == "AssertionError"
    assert (line["event"], line["order"]) == ("a check failed by itself", "ab")
    assert "deadbeef" not in done.stderr
