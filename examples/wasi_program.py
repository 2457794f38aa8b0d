"""A WASI program with arguments, captured output and one directory of the host.

The guest reads the file that its first argument names, writes it to standard output, and exits
with status 0, or 1 if it cannot open the file.
"""

import tempfile
from pathlib import Path

from wasmtime import DirPerms, Engine, ExitTrap, Linker, Module, Store, WasiConfig

CAT = """
(module
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 512) "cannot open the file\\n")

  (func $length (param $text i32) (result i32) (local $end i32)
    (local.set $end (local.get $text))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
    (i32.sub (local.get $end) (local.get $text)))

  ;; 0: the buffer of a read or write, 8: how much, 16: pointers to arguments, 128: the arguments,
  ;; 256: the file, 65536: its contents
  (func (export "_start") (local $name i32)
    (drop (call $args_get (i32.const 16) (i32.const 128)))
    (local.set $name (i32.load (i32.const 20)))
    (if (call $path_open (i32.const 3) (i32.const 0) (local.get $name)
          (call $length (local.get $name)) (i32.const 0) (i64.const 2) (i64.const 2)
          (i32.const 0) (i32.const 256))
      (then
        (i32.store (i32.const 0) (i32.const 512))
        (i32.store (i32.const 4) (i32.const 21))
        (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $proc_exit (i32.const 1))))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 65536))
    (drop (call $fd_read (i32.load (i32.const 256)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""


def run(linker: Linker, module: Module, directory: Path, name: str) -> None:
    wasi = WasiConfig()
    wasi.argv = ["cat", name]
    wasi.preopen_dir(directory, "/", DirPerms.READ_ONLY)
    # Without a limit, a guest that prints without end would fill the memory of this process.
    output, errors = wasi.capture_stdout(limit=1 << 20), wasi.capture_stderr(limit=1 << 20)

    store = Store(linker.engine)
    store.set_wasi(wasi)
    start = linker.instantiate(store, module).exports(store).get_func("_start")
    try:
        start(store)
        status = 0
    except ExitTrap as exit_trap:
        status = exit_trap.code
    print(f"{name}: status {status}, output {output.text()!r}, errors {errors.text()!r}")


def main() -> None:
    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    module = Module(engine, CAT)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name, "shared")
        directory.mkdir()
        (directory / "greeting.txt").write_text("Hello from a file\n")
        Path(name, "secret.txt").write_text("not for the guest\n")
        run(linker, module, directory, "greeting.txt")
        run(linker, module, directory, "../secret.txt")


if __name__ == "__main__":
    main()
