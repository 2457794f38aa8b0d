"""
The examples in the docstrings do what they say.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In a process of their own: importing wasmtime.loader changes how Python imports.
PROGRAM = """
import doctest, importlib, pkgutil, sys
import wasmtime

names = [module.name for module in pkgutil.walk_packages(wasmtime.__path__, "wasmtime.")]
finder = doctest.DocTestFinder(exclude_empty=True)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
for name in ["wasmtime", *names]:
    if not name.endswith(".__main__"):
        for example in finder.find(importlib.import_module(name)):
            runner.run(example)
failed, attempted = runner.summarize(verbose=False)
assert attempted > 50, attempted
sys.exit(bool(failed))
"""


def test_examples_do_what_they_say(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
