"""The list of planted faults does not rot: every one has its place, and the test files that it names are there."""

from __future__ import annotations

import pytest
from _faults import FAULTS, Fault
from mutations import first_failure, main, misplaced, selected


def test_there_are_forty_with_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_its_place(fault: Fault) -> None:
    assert misplaced([fault]) == []
    assert fault.what
    assert selected(fault.likely)


def test_a_fault_without_a_place_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = misplaced([Fault("lost", "methods/base.py", "no such text", "", "", ())])
    assert line == "lost: the old text stands 0 times in methods/base.py"
    assert main(["--verify"]) == 0
    assert capsys.readouterr().out == "all 40 faults have their place\n"


def test_what_pytest_says_is_read() -> None:
    assert first_failure("..\n2 passed in 0.1s\n", 0) == ""
    assert first_failure("F\nFAILED tests/test_a.py::test_b - assert 1 == 2\n", 1) == "tests/test_a.py::test_b - assert 1 == 2"
    assert first_failure("", -11) == "the tests end by signal 11"
    with pytest.raises(RuntimeError, match="exit code 4"):
        first_failure("usage", 4)
