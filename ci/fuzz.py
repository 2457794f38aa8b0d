"""Fuzz the C half: what converts values, parses arguments and slices memories.

    nox -s fuzz -- --seconds 60 [--keep]

The session builds `_core` with clang's coverage and sanitizers, in an environment that has atheris
(libFuzzer for Python), and starts this with it, which runs `tests/fuzz/target.py` for a bounded
time. What it finds is written to the checkout, with the command that shows it again without the
fuzzer. With --keep, inputs that reached something new are added to `tests/fuzz/corpus`, which the
ordinary tests replay.

Needs Linux, clang with its runtime (Debian: clang, libclang-rt-14-dev), and a CPython that atheris
has wheels for. CC chooses the compiler; ``-P`` of nox the interpreter that is fuzzed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Bytes of one kept input, and how many are kept in all: the corpus is replayed by every test run.
KEPT_SIZE, KEPT_NUMBER = 200, 60


def keep(found: Path, corpus: Path) -> int:
    """Add small inputs that reached something new to the corpus; how many."""
    room = KEPT_NUMBER - len(list(corpus.iterdir()))
    known = {path.name for path in corpus.iterdir()}
    fitting = [
        path
        for path in sorted(found.iterdir(), key=lambda path: path.stat().st_size, reverse=True)
        if path.name not in known and path.stat().st_size <= KEPT_SIZE
    ]
    for path in fitting[: max(room, 0)]:
        shutil.copyfile(path, corpus / path.name)
    return len(fitting[: max(room, 0)])


def main() -> int:
    """Fuzz, and tell."""
    parser = argparse.ArgumentParser(description="Fuzz the C half for a bounded time.")
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz (default 60)")
    parser.add_argument("--keep", action="store_true", help="add what is new to the corpus")
    options = parser.parse_args()
    atheris = importlib.import_module("atheris")
    corpus = ROOT / "tests" / "fuzz" / "corpus"
    environment = {
        **os.environ,
        "LD_PRELOAD": str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        # The library handles SIGSEGV for traps; objects of Python are checked as well.
        "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:allow_user_segv_handler=1"
        # A fake stack would hide how much of the real one is left.
        ":allocator_may_return_null=1:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    with tempfile.TemporaryDirectory() as found:
        command = [
            *(sys.executable, str(ROOT / "tests" / "fuzz" / "fuzz_core.py")),
            f"-max_total_time={options.seconds}",
            "-max_len=400",
            "-timeout=20",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={ROOT}/fuzz-",
            *(found, str(corpus)),
        ]
        if subprocess.run(command, env=environment).returncode != 0:
            print("\nTo see it again without the fuzzer, in tests/fuzz, with the file's name:")
            print("python -c 'import sys, target; target.check(open(sys.argv[1], \"rb\").read())'")
            return 1
        if options.keep:
            print(f"{keep(Path(found), corpus)} inputs added to {corpus}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
