"""
The guests of the tutorial, compiled as it says, do what those do that it has as text.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from component import componentizers
from real_programs import Unavailable, registry
from support import CHECKOUT, run_in_subprocess

TUTORIAL = (CHECKOUT / "docs" / "tutorial.md").read_text(encoding="utf-8")
PROGRAM = "\n".join(re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL))


def block(language: str) -> str:
    """
    The only block of a language other than Python.
    """
    (found,) = re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)
    assert isinstance(found, str)
    return found


def command(beginning: str) -> list[str]:
    """
    The arguments of a command that the tutorial shows.
    """
    (line,) = re.findall(rf"^\$ {beginning} (.*)$", TUTORIAL, re.MULTILINE)
    return shlex.split(line)


def run_with(guest: Path) -> None:
    """
    Run the tutorial's program where it finds a compiled guest, which it takes then.
    """
    found = f"import shutil; shutil.copy({str(guest)!r}, {guest.name!r})\n"
    cache = {"XDG_CACHE_HOME": str(guest.parent)}
    run_in_subprocess(PROGRAM, preamble=found, env=cache).check()


def test_the_guest_in_c(tmp_path: Path) -> None:
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        pytest.skip("needs clang and wasm-ld, which the tutorial does not take for granted")
    (tmp_path / "vowels.c").write_text(block("c"), encoding="utf-8")
    subprocess.run(["clang", *command("clang")], cwd=str(tmp_path), check=True, timeout=60)
    run_with(tmp_path / "vowels.wasm")


def test_the_guest_in_rust(tmp_path: Path) -> None:
    options = command("rustc")
    if not rust_compiles_for(options[options.index("--target") + 1]):
        pytest.skip("needs rustc with this target, which the tutorial does not take for granted")
    (tmp_path / "vowels.rs").write_text(block("rust"), encoding="utf-8")
    subprocess.run(["rustc", *options], cwd=str(tmp_path), check=True, timeout=60)
    run_with(tmp_path / "vowels.wasm")


def rust_compiles_for(target: str) -> bool:
    """
    Whether there is a rustc that has the standard library for a target.
    """
    if shutil.which("rustc") is None:
        return False
    asked = ["rustc", "--print", "target-libdir", "--target", target]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and Path(done.stdout.strip()).is_dir()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_plugin_in_javascript(tmp_path: Path) -> None:
    tool = componentizers.QUICKJS
    try:
        installed = componentizers.install(tool, registry.cache_directory())
    except Unavailable as error:
        if registry.mode() == "require":
            raise
        pytest.skip(str(error))
    (tmp_path / "wit").mkdir()
    interface = re.search(r"```text\n// wit/plugin\.wit\n(.*?)```", TUTORIAL, re.DOTALL)
    assert interface is not None
    (tmp_path / "wit" / "plugin.wit").write_text(interface[1], encoding="utf-8")
    (tmp_path / "plugin.js").write_text(block("js"), encoding="utf-8")
    script = installed / "node_modules" / tool.package / "cli.mjs"
    subprocess.run(
        ["node", str(script), *command(f"npx {tool.package}")],
        cwd=str(tmp_path),
        check=True,
        timeout=300,
    )
    run_with(tmp_path / "plugin.wasm")
