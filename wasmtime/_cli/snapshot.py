"""``snapshot``: a module that begins where another one was after it was set up."""

from __future__ import annotations

import argparse
import os
from typing import Any

from .._linker import Linker
from .._module import Module
from .._snapshots.bake import bake
from .._snapshots.capture import capture
from .._snapshots.descriptors import check_descriptors
from .._snapshots.errors import NotCapturable
from .._snapshots.rewrite import Prepared, prepare
from .._store import Store
from .._wasi import WasiConfig
from .options import seconds
from .output import output_of, output_option, refuse_terminal, write_output
from .programs import add_cache_option, announced, binary_of, make_engine
from .status import STATUS_USAGE, Failure
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  snapshot --call load rules.wasm              into rules.snapshot.wasm, with the rules loaded
  snapshot python.async.wasm -- -c "import json; exec(input())"
                                               a program, where it first reads its input
"""

#: What sets a library up, and would do so again.
_INITIALISE = "_initialize"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``snapshot``."""
    parser.add_argument(
        "program", metavar="MODULE", help="a core module; '-' reads it from standard input"
    )
    parser.add_argument(
        "arguments", metavar="...", nargs=argparse.REMAINDER, help="arguments of a program"
    )
    parser.add_argument(
        "--call",
        metavar="NAME",
        action="append",
        default=[],
        help="call this exported function first, without arguments; may be repeated. Without it, "
        "a library is only initialised",
    )
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=seconds, help="how long setting it up may take"
    )
    output_option(
        parser,
        "where to put the module, '-' for standard output; by default its name with the suffix "
        ".snapshot.wasm, in the current directory",
    )
    add_cache_option(parser)


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Set a module up and write it as it is then; returns the exit status.

    Raises:
        Failure: It cannot be loaded, set up or captured, or the file cannot be written.
    """
    output = output_of(options.output, options.program, ".snapshot.wasm", "snapshot")
    refuse_terminal(output, "module")
    try:
        prepared = prepare(bytes(binary_of(options.program)))
        content = _set_up(prepared, options, watch)
    except NotCapturable as error:
        raise Failure(f"no snapshot of {options.program}: {error}") from None
    write_output(output, content)
    return 0


def _set_up(prepared: Prepared, options: argparse.Namespace, watch: Watch) -> bytes:
    engine = make_engine(options.no_cache, fuel=False)
    watch.engine = engine
    with announced(options.program):
        module = Module(engine, prepared.binary)
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(_wasi(options))
    if options.timeout is not None:
        store.set_epoch_deadline(1)
        watch.limit(options.timeout)
    instance = linker.instantiate(store, module)
    exports: Any = instance.exports(store)
    if prepared.has_start:
        exports[prepared.named("start")](store)
    leave_out = {_INITIALISE, *options.call}
    if _INITIALISE in exports:
        exports[_INITIALISE](store)
    for name in options.call:
        if name not in exports:
            raise Failure(f"{options.program} exports no {name!r}", STATUS_USAGE)
        exports[name](store)
    if "_start" in exports and not options.call:
        _run_to_input(prepared, store, exports)
    check_descriptors(linker, store, 0)
    return bake(prepared, capture(prepared, module, store, instance), leave_out)


def _run_to_input(prepared: Prepared, store: Store, exports: Any) -> None:
    """Run a program until it first reads its input."""
    if prepared.suspension is None:
        raise NotCapturable(
            "it is a program that cannot be stopped: build it with 'wasm-opt --asyncify "
            "--pass-arg=asyncify-imports@wasi_snapshot_preview1.fd_read'"
        )
    exports[prepared.named("armed")].set_value(store, 1)
    exports["_start"](store)
    if exports["asyncify_get_state"](store) == 0:
        raise NotCapturable("it has ended without reading its input")
    exports["asyncify_stop_unwind"](store)


def _wasi(options: argparse.Namespace) -> WasiConfig:
    """What it sees while it is set up: its arguments, and where to complain."""
    wasi = WasiConfig()
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    wasi.argv = [os.path.basename(options.program), *arguments]
    wasi.inherit_stderr()
    return wasi
