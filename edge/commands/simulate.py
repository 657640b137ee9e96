"""`mol simulate`: recordings of the simulated robot, to try things with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from edge import simulate

app = App(
    name="simulate",
    help="""Write a recording of a simulated machining robot, nominal or with a fault.

    Example: `mol simulate data/ --fault bearing-wear`, then `mol detector score data/samples.csv`
    """,
)


@app.default
def write(
    folder: Path,
    *,
    fault: Literal["bearing-wear", "cooling-loss", "dull-tool", "spindle-drag"] | None = None,
    seed: int = 1,
    minutes: Annotated[int, Parameter(validator=Number(gte=40, lte=1440))] = (
        simulate.WINDOW_MINUTES
    ),
) -> None:
    """Write FOLDER/samples.csv: speed, drill temperature, friction, water temperature each minute.

    Parameters
    ----------
    fault:
        It sets in after 20 minutes and grows for an hour. Default: none.
    seed:
        The same seed gives the same samples.
    minutes:
        Length of the recording, which ends now.
    """
    start = datetime.now(UTC) - timedelta(minutes=minutes)
    samples = simulate.record(seed=seed, minutes=minutes, fault=fault)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "samples.csv"
    file.write_bytes(simulate.csv_bytes(samples, start))
    print(f"{minutes} samples written to {file}")
