"""
The two virtual environments: this checkout, and the published package.

They are kept in a directory of the user's own cache, by Python version; ours is made again
whenever a file that goes into the package has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The release that ours is compared with.
PUBLISHED = "wasmtime==50.0.1"

#: What goes into the package.
SOURCES = (
    "csrc",
    "vendor",
    "wasmtime",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)
_PRODUCTS = {".so", ".dylib", ".dll", ".pyd", ".pyc"}


def cache_directory() -> Path:
    """
    Where the environments are kept; ``WASMTIME_BENCHMARK_CACHE`` moves it.
    """
    override = os.environ.get("WASMTIME_BENCHMARK_CACHE")
    if override:
        return Path(override)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "wasmtime-python-benchmarks"


def _files() -> list[Path]:
    found: list[Path] = []
    for name in SOURCES:
        path = ROOT / name
        found += [path] if path.is_file() else sorted(path.rglob("*"))
    return [
        path
        for path in found
        if path.is_file() and path.suffix not in _PRODUCTS and "_lib" not in path.parts
    ]


def stamp() -> str:
    """
    A hash of everything that goes into the package: what "ours" is.
    """
    digest = hashlib.sha256()
    for path in _files():
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


def _tag(python: str) -> str:
    code = "import sys; print(sys.implementation.cache_tag, *sys.version_info[:3], sep='-')"
    done = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def interpreter(environment: Path) -> str:
    """
    The Python of a virtual environment.
    """
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return str(environment / folder / name)


def _make(environment: Path, python: str, requirement: str) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    pip = [interpreter(environment), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", requirement], check=True)


def published(python: str) -> str:
    """
    The interpreter of an environment with the published package.
    """
    environment = cache_directory() / _tag(python) / "published"
    done = environment / "installed"
    if not done.is_file() or done.read_text() != PUBLISHED:
        print(f"installing {PUBLISHED} in {environment}", file=sys.stderr, flush=True)
        _make(environment, python, PUBLISHED)
        done.write_text(PUBLISHED)
    return interpreter(environment)


def ours(python: str) -> str:
    """
    The interpreter of an environment with this checkout.
    """
    environment = cache_directory() / _tag(python) / "ours"
    done = environment / "installed"
    now = stamp()
    if not done.is_file() or done.read_text() != now:
        print(f"installing this checkout in {environment}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            # A copy, so that no build product of the checkout gets in, and none is left there.
            for path in _files():
                target = Path(scratch, path.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            _make(environment, python, scratch)
        done.write_text(now)
    return interpreter(environment)
