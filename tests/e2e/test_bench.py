"""A small size of `make bench`, so that it works when somebody needs it: what is measured has been handled wholly."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lambda_runtime import ROOT, bootstrap

BENCH = ROOT / "tests" / "bench"
TOOLS = ROOT / ".tools" / "bench" / "bin" / "python"
sys.path.append(str(BENCH))  # behind our own modules

import bench  # noqa: E402
from cloud import Cloud  # noqa: E402
from measure import LATE, Size, run  # noqa: E402


def measures(python: Path | str, *names: str) -> None:
    only = [each for name in names for each in ("--only", name)]
    command = [python, BENCH / "bench.py", bootstrap(), "--runs", "1", "--events", "2", "--print", *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    heading, _, *rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [cell.strip(" |") for cell in heading[1:-1]] == list(names)
    assert len(rows) == 11
    for row in rows[:-1]:
        assert all(float(cell.replace(",", "")) > 0 for cell in row[1 : 1 + len(names)]), row


def test_the_guard_and_a_minimal_handler_are_measured_on_events_that_they_handle_wholly():
    measures(sys.executable, "boto3", "eks-sg-guard")


@pytest.mark.skipif(not TOOLS.exists(), reason="Cloud Custodian is not installed (`make bench` does it)")
def test_custodian_is_measured_on_events_that_it_handles_wholly():
    measures(TOOLS, "Custodian")


def test_an_event_that_was_not_handled_wholly_is_not_measured():
    (boto3, *_), cloud = bench.programs(bootstrap()), Cloud()
    promises = replace(boto3, looks_again=True, keeps_journal=True, topics=2)
    idle = bench.of_python("idle", "builtins:print", BENCH)
    numbers = itertools.count(1)
    missing = {each.partition(": ")[2] for each in run(promises, cloud, Size(0, 1, 0), numbers).wrong}
    assert missing == {
        "nobody read back that it is gone",
        LATE,
        "the journal does not say what came of it",
        "1 of 2 topics heard of it",
    }
    missing = {each.partition(": ")[2] for each in run(idle, cloud, Size(0, 1, 0), numbers).wrong}
    assert {"the rule is still open", "it was revoked 0 times"} <= missing
    cloud.close()
