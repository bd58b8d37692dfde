"""`make bench`: the guard, a minimal boto3 handler and Cloud Custodian handle the same events against the same local AWS.

    .tools/bench/bin/python tests/bench/bench.py target/function/bootstrap

Each program runs alone. The runs take turns, so that a machine that becomes slower slows all of them. When an event of any
run was not handled wholly, nothing is written.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "e2e"))  # the shapes of events

from canned import PEOPLE  # noqa: E402
from cloud import Cloud  # noqa: E402
from machine import ROOT, Others, machine, package, versions  # noqa: E402
from measure import GUARD_SETTINGS, LATE, NEAR, SERIES_SECONDS, Run, Size, look, quiet, run  # noqa: E402
from subject import Program  # noqa: E402
from table import MS, called, table, within  # noqa: E402

BESIDE = Path(__file__).parent / "beside"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
GUARD, BOTO3, CUSTODIAN = "eks-sg-guard", "boto3", "Custodian"
RUNS = 5


def guard(bootstrap: Path) -> Program:
    """As the template sets it up: table, work queue, both topics."""
    queue = {"GUARD_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/work"}
    settings = {**GUARD_SETTINGS, **queue}
    return Program(GUARD, [str(bootstrap.resolve())], BESIDE, settings, looks_again=True, keeps_journal=True, topics=2)


def looking(bootstrap: Path) -> Program:
    """The same without a queue, which it would divide its look among."""
    return replace(guard(bootstrap), environment=GUARD_SETTINGS)


def of_python(name: str, handler: str, folder: Path, **environment: str) -> Program:
    return Program(name, [sys.executable, str(BESIDE / "runtime.py"), handler], folder, environment)


def programs(bootstrap: Path) -> list[Program]:
    return [
        of_python(BOTO3, "boto3_handler:handle", BESIDE, GUARD_TOPIC_ARN=PEOPLE),
        of_python(CUSTODIAN, "c7n.handler:dispatch_event", BESIDE / "custodian"),
        guard(bootstrap),
    ]


def bare(cloud: Cloud, times: int) -> tuple[float, float]:
    """Milliseconds: what a client waits for an answer beyond the chosen time, and what this process works for it."""
    cloud.latency = NEAR
    command = [sys.executable, str(BESIDE / "bare_client.py"), str(times)]
    before = time.process_time()
    with quiet():
        said = subprocess.run(command, env=cloud.environment, check=True, capture_output=True, text=True).stdout
    cloud.asked.clear()
    return float(said) - MS * NEAR, MS * (time.process_time() - before) / times


def measured(some: list[Program], cloud: Cloud, size: Size, times: int, *, may_be_late: bool) -> dict[str, list[Run]]:
    """The runs of each program. Ends the process when an event was not handled wholly."""
    runs: dict[str, list[Run]] = {each.name: [] for each in some}
    began, numbers = time.monotonic(), itertools.count(1)
    for _, program in itertools.product(range(times), some):
        done = run(program, cloud, size, numbers)
        if wrong := [each for each in done.wrong if not (may_be_late and each.endswith(LATE))]:
            some_of_it = "\n".join(wrong[:20])
            raise SystemExit(f"error: not every event was handled wholly, so the figures say nothing:\n{some_of_it}")
        runs[program.name].append(done)
        middle = MS * statistics.median(event.seconds for event in done.near)
        print(f"{time.monotonic() - began:4.0f} s  {program.name}: {middle:.1f} ms an event", file=sys.stderr, flush=True)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap", type=Path, help="the function, built as it is packed")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each program (default: %(default)s)")
    parser.add_argument("--events", type=int, help="a short run that proves little: so many near AWS, one far")
    names = [BOTO3, CUSTODIAN, GUARD]
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; again for another one")
    parser.add_argument("--print", action="store_true", help="leave docs/benchmarks.md as it is")
    given = parser.parse_args()

    if not given.bootstrap.is_file():
        parser.error(f"`{given.bootstrap}` is not there: build it with `make bench`")
    size = Size(1, given.events, 1) if given.events else Size()
    some = [each for each in programs(given.bootstrap) if given.only is None or each.name in given.only]
    began, others, cloud = time.monotonic(), Others(), Cloud()
    look(looking(given.bootstrap), cloud)
    extra, own = bare(cloud, 20 * size.near)
    runs = measured(some, cloud, size, given.runs, may_be_late=given.events is not None)
    packed, of = (None, "not packed in a short run") if given.events else package(given.bootstrap)
    text = f"""{table(runs, {GUARD: packed})}

Median of {given.runs} runs, in parentheses the least and the most. Each run is a new process that gets {size.all} events:
the first, {size.warming} that are not measured, {size.near} near AWS and {size.far} far from it.
A series ends after {SERIES_SECONDS} s.

- Machine: {machine()}; others used {100 * others.share():.0f} % of it meanwhile.
- Versions: {versions()}.
- Command: `make bench`; {(time.monotonic() - began) / 60:.1f} minutes after the build.
- The local AWS: a bare client waits {extra:.2f} ms longer than the chosen time; the server works {own:.2f} ms for a call.
- Package: {of}."""
    if GUARD in runs:
        text += f"\n- {called(runs[GUARD][-1])}"
    if given.print or given.only or given.events:
        print(text)
    else:
        within(DOCUMENT, text)
        print(f"written into {DOCUMENT.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
