"""A host for plug-ins that are components, typed end to end.

    python host.py PLUGIN.wasm ...

The types are those of ``plugin_api``, which ``python -m wasmtime.bindgen`` writes for the world in
``wit/plugin.wit``. It serves every component of this world, whatever language that was written in:
`build.py` makes two, of Python and of JavaScript. Type checkers follow the values from here to the
plug-ins: try ``level.WARNIG``, or forget a case of `Problem`.

Plug-ins that are not trusted need limits and a deadline too: ``plugin_host.py`` has them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component

from plugin_api import Root, RootImports, filter, imports
from plugin_api.imports.console import Level
from plugin_api.types import Ok


class Console(imports.HostConsole):
    """What plug-ins say goes to the terminal."""

    def __init__(self, plugin: str) -> None:
        """Say what is printed in front of each message."""
        self.plugin = plugin

    def log(self, level: Level, text: str) -> None:
        """Print a message with the name of the plug-in that it is from."""
        mark = "!" if level is Level.WARNING else " "
        print(f"{mark} {self.plugin}: {printable(text)}")


def printable(text: str) -> str:
    """What a plug-in says without what would command the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def explain(problem: filter.Problem) -> str:
    """A problem in words. From Python 3.10 on, ``match`` does the same."""
    if isinstance(problem, filter.ProblemUnknownLanguage):
        return f"does not know the language {problem.value}"
    return "has nothing to do"


def run(path: Path, engine: Engine) -> None:
    """Load a plug-in, which gets nothing but `Console`, and show what it does."""
    store = Store(engine)
    # The languages' runtimes import WASI; this environment has neither files nor variables.
    store.set_wasi(WasiConfig())
    component = Component.from_file(engine, path, cache=True)
    console = Console(path.stem)
    plugin = Root(store, RootImports(console), component=component).filter()
    about = plugin.about(store)
    console.plugin = printable(about.name)
    print(f"{console.plugin} ({printable(', '.join(about.languages))})")
    for text, language in (("hello world", None), ("hello", "tlh"), ("", None)):
        result = plugin.apply(store, text, language)
        if isinstance(result, Ok):
            print(f"  {text!r} becomes {result.value!r}")
        else:
            print(f"  {text!r}: {explain(result.value)}")
    with plugin.Counter(store) as counter:
        counter.add(store, "one two")
        counter.add(store, "three")
        print(f"  words: {counter.total(store)}")


def main() -> None:
    """Run each plug-in that the command line names."""
    engine = Engine()
    for name in sys.argv[1:]:
        run(Path(name), engine)


if __name__ == "__main__":
    main()
