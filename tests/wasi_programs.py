"""
Small WASI programs in the text format, each doing one thing that a test can see from outside.
"""

from __future__ import annotations

_IMPORTS = {
    "args_sizes_get": "(param i32 i32) (result i32)",
    "args_get": "(param i32 i32) (result i32)",
    "environ_sizes_get": "(param i32 i32) (result i32)",
    "environ_get": "(param i32 i32) (result i32)",
    "fd_close": "(param i32) (result i32)",
    "fd_read": "(param i32 i32 i32 i32) (result i32)",
    "fd_write": "(param i32 i32 i32 i32) (result i32)",
    "fd_prestat_get": "(param i32 i32) (result i32)",
    "path_open": "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)",
    "path_unlink_file": "(param i32 i32 i32) (result i32)",
    "path_create_directory": "(param i32 i32 i32) (result i32)",
    "poll_oneoff": "(param i32 i32 i32 i32) (result i32)",
    "random_get": "(param i32 i32) (result i32)",
    "clock_time_get": "(param i32 i64 i32) (result i32)",
    "proc_exit": "(param i32)",
}


def program(uses: str, body: str, rest: str = "") -> str:
    """
    A WASI command.

    Args:
        uses: The WASI functions that it calls, separated by spaces; each is ``$name`` inside.
        body: The instructions of its ``_start`` function, which may use the local ``$n``.
        rest: Further fields of the module.
    """
    imports = "\n".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {_IMPORTS[name]}))'
        for name in uses.split()
    )
    return f"""
    (module
      {imports}
      (memory (export "memory") 2)
      {rest}
      (func (export "_start") (local $n i32)
        {body}
      )
    )
    """


def _strings(name: str) -> str:
    # 0: count, 4: size of the buffer; 16: pointers (thrown away), 4096: the buffer
    return program(
        f"{name}_sizes_get {name}_get fd_write proc_exit",
        f"""
        (if (call ${name}_sizes_get (i32.const 0) (i32.const 4)) (then unreachable))
        (if (call ${name}_get (i32.const 16) (i32.const 4096)) (then unreachable))
        (i32.store (i32.const 8) (i32.const 4096))
        (i32.store (i32.const 12) (i32.load (i32.const 4)))
        (if (i32.load (i32.const 4))
          (then (if (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))
            (then unreachable))))
        """,
    )


#: Writes its arguments to standard output, each with a NUL behind it.
ARGUMENTS = _strings("args")

#: Writes its environment to standard output, each ``NAME=VALUE`` with a NUL behind it.
ENVIRONMENT = _strings("environ")

#: Copies standard input to standard output.
CAT = program(
    "fd_read fd_write",
    """
    (loop $more
      (i32.store (i32.const 0) (i32.const 4096))
      (i32.store (i32.const 4) (i32.const 4096))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable))
      (local.set $n (i32.load (i32.const 8)))
      (i32.store (i32.const 4) (local.get $n))
      (if (local.get $n)
        (then
          (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then unreachable))
          (br $more))))
    """,
)

#: Writes one line to standard output and one to standard error, twice in turn.
HELLO = program(
    "fd_write",
    """
    (call $print (i32.const 1) (i32.const 100))
    (call $print (i32.const 2) (i32.const 200))
    (call $print (i32.const 1) (i32.const 100))
    (call $print (i32.const 2) (i32.const 200))
    """,
    """
    (data (i32.const 100) "to stdout\\0a")
    (data (i32.const 200) "to stderr\\0a")
    (func $print (param $fd i32) (param $at i32)
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.const 10))
      (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable)))
    """,
)

#: Writes one line of ten bytes to standard output again and again, for ever.
CHATTER = program(
    "fd_write",
    """
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 10))
    (loop $again
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
        (then unreachable))
      (br $again))
    """,
    '(data (i32.const 100) "to stdout\\0a")',
)

#: Computes for ever without calling anything.
SPIN = program("proc_exit", "(loop $again (br $again))")

#: Traps.
TRAP = program("proc_exit", "unreachable")


def exits(code: int) -> str:
    """
    A program that exits with `code`.
    """
    return program("proc_exit", f"(call $proc_exit (i32.const {code}))")


def write_status(size: int, times: int) -> str:
    """
    A program that writes `size` bytes `times` times, and exits with the error number of the first
    write that failed, or with zero.
    """
    return program(
        "fd_write proc_exit",
        f"""
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const {size}))
        (local.set $n (i32.const {times}))
        (loop $again
          (call $check
            (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $again (local.get $n)))
        """,
        """
        (func $check (param $error i32)
          (if (local.get $error) (then (call $proc_exit (local.get $error)))))
        """,
    )


#: Rights and flags of path_open.
RIGHT_READ = 1 << 1
RIGHT_WRITE = 1 << 6
CREATE = 1
TRUNCATE = 8


def opens(path: str, flags: int, rights: int) -> str:
    """
    A program that opens a path below its first preopened directory and exits with the error number.
    """
    return program(
        "path_open proc_exit",
        f"""
        (call $proc_exit
          (call $path_open (i32.const 3) (i32.const 1) (i32.const 100)
            (i32.const {len(path.encode())}) (i32.const {flags}) (i64.const {rights})
            (i64.const 0) (i32.const 0) (i32.const 0)))
        """,
        f'(data (i32.const 100) "{path}")',
    )


def path_call(function: str, path: str) -> str:
    """
    A program that calls ``path_unlink_file`` or the like on a path and exits with the error number.
    """
    return program(
        f"{function} proc_exit",
        f"""
        (call $proc_exit
          (call ${function} (i32.const 3) (i32.const 100) (i32.const {len(path.encode())})))
        """,
        f'(data (i32.const 100) "{path}")',
    )


#: Error numbers of WASI preview 1 that the tests meet.
ERRNO_ACCES = 2
ERRNO_BADF = 8
ERRNO_NOENT = 44
ERRNO_PERM = 63
ERRNO_NOTCAPABLE = 76
