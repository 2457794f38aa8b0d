"""The figures that are kept, round by round, in files that pyperf reads.

pyperf notes all about a machine beside each run: its name, its load, paths, how Python was built.
It joins only runs that agree on most of that, and each round has environments of its own. So what
is kept is what a reader needs, and nothing that says whose machine it was.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

#: What is kept of what pyperf notes. All others are left out, those of its later versions, too.
KEPT = frozenset(
    {
        # What was measured, and how.
        "name",
        "unit",
        "loops",
        "inner_loops",
        "calibrate_loops",
        "recalibrate_loops",
        "calibrate_warmups",
        "recalibrate_warmups",
        "date",
        "duration",
        "mem_max_rss",
        # With what.
        "cpu_model_name",
        "cpu_count",
        "machine",
        "system",
        "python_implementation",
        "python_version",
        "python_compiler",
        "perf_version",
        "wasmtime",
    }
)


def bare(suite: Any) -> Any:
    """The same figures, with what is kept of the notes.

    Args:
        suite: A ``pyperf.BenchmarkSuite``; stays as it is.

    Returns:
        Another one.
    """
    import pyperf

    def stripped(run: Any) -> Any:
        notes = {name: value for name, value in run.get_metadata().items() if name in KEPT}
        return pyperf.Run(run.values, run.warmups, metadata=notes, collect_metadata=False)

    return pyperf.BenchmarkSuite(
        [pyperf.Benchmark([stripped(run) for run in one.get_runs()]) for one in suite]
    )


def add(found: Path, kept: Path) -> None:
    """Add the figures of a round to those that are kept.

    Args:
        found: What pyperf wrote.
        kept: The file with earlier rounds, if there are any. It is replaced as a whole, so that an
            interrupt loses none of them.

    Raises:
        SystemExit: They are of another machine or another Python.
    """
    import pyperf

    suite = bare(pyperf.BenchmarkSuite.load(str(found)))
    if kept.exists():
        earlier = bare(pyperf.BenchmarkSuite.load(str(kept)))
        try:
            earlier.add_runs(suite)
        except ValueError as error:
            raise SystemExit(f"{kept} has figures that these do not go with: {error}") from error
        suite = earlier
    new = kept.with_suffix(".new.json")
    suite.dump(str(new), replace=True)
    os.replace(new, kept)
