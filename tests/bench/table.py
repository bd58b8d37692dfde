"""What the runs come to, as the text that stands in docs/benchmarks.md.

Owns: rows, medians, spreads, words. Must not measure.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from measure import Run

BEGIN, END = "<!-- written by make bench -->", "<!-- written by make bench: end -->"
MS, MB = 1000, 1 << 20


def percentile(values: Iterable[float], percent: int) -> float:
    """The smallest of the values that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _near(percent: int) -> Callable[[Run], float]:
    return lambda run: MS * percentile((event.seconds for event in run.near), percent)


def _cpu(run: Run) -> float:
    """Of the series as a whole: what a program puts off from one event to the next counts."""
    return MS * sum(event.cpu for event in run.near) / len(run.near)


def _calls(run: Run) -> float:
    return sum(event.calls.total() for event in run.near) / len(run.near)


# What is shown of a run, and what we want of our own program.
ROWS: list[tuple[str, str, Callable[[Run], float]]] = [
    ("start to ready, ms", "10", lambda run: MS * run.start),
    ("first event over TLS, ms", "12", lambda run: MS * run.first.seconds),
    ("warm event, p50, ms", "6", _near(50)),
    ("warm event, p99, ms", "10", _near(99)),
    ("own CPU of a warm event, ms", "3.5", _cpu),
    ("calls of a warm event", "16", _calls),
    ("own CPU for each call, ms", "0.22", lambda run: _cpu(run) / _calls(run)),
    ("peak memory, MB", "18", lambda run: run.peak_memory / MB),
    ("until the revoke, AWS far, ms", "45", lambda run: MS * statistics.median(event.until_revoke for event in run.far)),
    ("until the answer, AWS far, ms", "", lambda run: MS * statistics.median(event.seconds for event in run.far)),
]


def _number(value: float) -> str:
    """Three digits, if they say something."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(values: Sequence[float]) -> str:
    middle, least, most = (_number(each) for each in (statistics.median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} – {most})"


def table(runs: Mapping[str, Sequence[Run]], package: Mapping[str, int | None]) -> str:
    """A column for each program, a row for each figure: the median of the runs, least and most in parentheses."""
    lines = [["figure", *runs, "at most"], ["---", *["---:"] * (len(runs) + 1)]]
    for name, wanted, figure in ROWS:
        lines.append([name, *(_cell([figure(run) for run in each]) for each in runs.values()), wanted])
    sizes = [_number(size / MB) if (size := package.get(name)) else "–" for name in runs]
    lines.append(["package, zipped, MB", *sizes, "5"])
    return "\n".join(f"| {' | '.join(line).strip()} |" for line in lines)


def called(run: Run) -> str:
    """What the guard called in the last warm event, what it called most first."""
    calls = ", ".join(f"{count} `{name}`" for name, count in run.near[-1].calls.most_common())
    return f"Calls of a warm event of ours: {calls}. A process made {run.connections} connections in all."


def within(document: Path, text: str) -> None:
    """Put the text between the marks of the document."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"error: {document} has not the lines `{BEGIN}` and `{END}`, between which the figures go")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
