"""The two virtual environments: this checkout, and the published package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vendor import fetch

ROOT = Path(__file__).resolve().parent.parent


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def _make(directory: Path, python: str, *requirements: str) -> str:
    """A virtual environment with pyperf; its interpreter."""
    print(f"preparing {directory.name}", file=sys.stderr, flush=True)
    _run(python, "-m", "venv", directory)
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    interpreter = directory / folder / name
    _run(interpreter, "-m", "pip", "install", "--quiet", "pyperf", *requirements)
    return str(interpreter)


def published(directory: Path, python: str) -> str:
    """The interpreter of an environment with the published package of our version."""
    lock = fetch.read_lock()
    return _make(directory / "published", python, f"{lock.project}=={lock.version}")


def ours(directory: Path, python: str) -> str:
    """The interpreter of an environment with this checkout."""
    interpreter = _make(directory / "ours", python, "build")
    # By way of the sdist, so that no build product of the checkout gets in, and none is left there.
    _run(interpreter, "-m", "build", "--outdir", directory / "dist", ROOT)
    (wheel,) = (directory / "dist").glob("*.whl")
    _run(interpreter, "-m", "pip", "install", "--quiet", wheel)
    return interpreter
