"""
Fuzz the C half: what converts values, parses arguments and slices memories.

    python ci/fuzz.py --seconds 60

Builds `_core` with clang's coverage and sanitizers in a copy of the checkout, with an environment
of its own that has atheris (libFuzzer for Python), and runs `tests/fuzz/target.py` for a bounded
time. What it finds is written to the current directory, with the command that shows it again
without the fuzzer. With --keep, inputs that reached something new are added to
`tests/fuzz/corpus`, which the ordinary tests replay.

Needs Linux, clang with its runtime (Debian: clang, libclang-rt-14-dev), and a CPython that atheris
has wheels for. Building takes a minute. --compiler chooses the compiler; the
interpreter that runs this is the one that is fuzzed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANITIZERS = "address,undefined,fuzzer-no-link"
#: Bytes of one kept input, and how many are kept in all: the corpus is replayed by every test run.
KEPT_SIZE, KEPT_NUMBER = 200, 60


def copy_checkout(destination: Path) -> None:
    """
    Copy what is committed, or would be.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, destination / name)


def build(work: Path, compiler: str) -> tuple[Path, Path]:
    """
    Make the environment and the instrumented module.

    Returns:
        The interpreter of the environment, and the sanitizer runtime to preload.
    """
    tree = work / "tree"
    copy_checkout(tree)
    venv.create(work / "env", with_pip=True)
    python = work / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "atheris", "setuptools>=77"], check=True)
    subprocess.run([*install, "--editable", str(tree)], check=True)
    flags = f"-fsanitize={SANITIZERS} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
    # CPython calls through casts of function pointers everywhere.
    flags += " -fno-sanitize=function"
    environment = {"CC": compiler, "CFLAGS": flags, "LDFLAGS": flags, "WASMTIME_BUILD_ONLY": "core"}
    subprocess.run(
        [python, "setup.py", "--quiet", "build_ext", "--inplace", "--force"],
        cwd=tree,
        env={**os.environ, **environment},
        check=True,
    )
    where = "import atheris; print(atheris.path())"
    path = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout
    return python, Path(path.strip()) / "asan_with_fuzzer.so"


def keep(found: Path, corpus: Path) -> int:
    """
    Add small inputs that reached something new to the corpus; how many.
    """
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
    """
    Build, fuzz, and tell.
    """
    parser = argparse.ArgumentParser(description="Fuzz the C half for a bounded time.")
    parser.add_argument("--seconds", type=int, default=60, help="how long to fuzz (default 60)")
    parser.add_argument("--compiler", default="clang", help="a clang with its sanitizer runtime")
    parser.add_argument("--keep", action="store_true", help="add what is new to the corpus")
    options = parser.parse_args()
    if shutil.which(options.compiler) is None:
        parser.error(f"there is no {options.compiler}: install clang and its compiler-rt")
    corpus = ROOT / "tests" / "fuzz" / "corpus"
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        python, runtime = build(work, options.compiler)
        found = work / "found"
        found.mkdir()
        program = [python, work / "tree" / "tests" / "fuzz" / "fuzz_core.py"]
        environment = {
            **os.environ,
            "LD_PRELOAD": str(runtime),
            # The library handles SIGSEGV for traps; objects of Python are checked as well.
            "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:allow_user_segv_handler=1"
            # A fake stack would hide how much of the real one is left.
            ":allocator_may_return_null=1:detect_stack_use_after_return=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
        }
        done = subprocess.run(
            [
                *program,
                f"-max_total_time={options.seconds}",
                "-max_len=400",
                "-timeout=20",
                "-rss_limit_mb=4096",
                "-print_final_stats=1",
                f"-artifact_prefix={Path.cwd()}/fuzz-",
                str(found),
                str(corpus),
            ],
            env=environment,
        )
        if done.returncode != 0:
            print("\nTo see it again without the fuzzer, in tests/fuzz, with the file's name:")
            print("python -c 'import sys, target; target.check(open(sys.argv[1], \"rb\").read())'")
            return 1
        if options.keep:
            print(f"{keep(found, corpus)} inputs added to {corpus}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
