from __future__ import annotations

import pytest

from ledger_service.chain import consortium, motions
from ledger_service.chain.consortium import ARGUMENTS, Motion, VersionTerms
from ledger_service.domain import errors, ids

ROBOT = ids.asset_id("1/robot-7")


def of_robot() -> Motion:
    terms = VersionTerms(ROBOT, (1, 2, 3), 1, safety=3, ratify_period=7200)
    return consortium.motion("RegisterVersion", terms.as_tuple())


def test_a_version_is_shown_one_term_a_line_with_the_machines_name() -> None:
    assert motions.describe(of_robot(), "1/robot-7") == [
        f"asset: 1/robot-7, id {ROBOT.hex()}",
        f"previous version: {'00' * 32}",
        "seats: 1, 2, 3",
        "host: 1",
        "safety authority: 3",
        "ratify period (s): 7200",
        "emergency cap: 0",
        "emergency max: 0",
    ]


def test_without_a_name_the_id_alone_is_shown() -> None:
    assert motions.describe(of_robot())[0] == f"asset: {ROBOT.hex()}"


@pytest.mark.parametrize("name", ["1/robot-8", "2/robot-7", "robot-7", "1/robot-7\n"])
def test_a_name_of_another_machine_is_not_shown(name: str) -> None:
    with pytest.raises(errors.UnknownField):
        motions.describe(of_robot(), name)


def test_a_motion_about_no_machine_takes_no_name() -> None:
    with pytest.raises(errors.UnknownField, match="name of none"):
        motions.describe(consortium.motion("Expel", 2), "1/robot-7")


def test_arguments_of_another_kind_are_no_motion() -> None:
    cut = Motion("RegisterVersion", of_robot().data[:-1], 0, bytes(32))

    with pytest.raises(errors.UnknownField, match="Not the arguments"):
        motions.describe(cut)


def test_every_kind_of_motion_has_a_name_for_each_argument() -> None:
    for kind, types in ARGUMENTS.items():
        names = motions.NAMES[kind]
        assert [isinstance(name, tuple) for name in names] == [t.startswith("(") for t in types]


def test_a_time_of_the_chain_is_shown_as_a_date() -> None:
    assert motions.moment(1796167575) == "2026-12-01T23:26:15+00:00"
    assert motions.moment(2**63) == "9223372036854775808 (Unix seconds)"
