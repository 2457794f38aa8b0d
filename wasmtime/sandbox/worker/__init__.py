"""The process tier: guests in worker processes, which count as hostile.

- `channel` carries messages: bounded, and plain data, which nobody unpickles.
- `messages` has the tasks and results that they carry, and checks what a worker says.
- `process` starts, feeds and kills one worker; `pool` keeps those that are idle.
- `guest` is what programs and plug-ins see of it.
- `child` is what runs in the worker; `rlimits` what the system holds it to.

A worker has an empty environment, no descriptors but its two, and a session and process group of
its own. It dies with its parent. It never imports ``__main__``, so it works from scripts without a
guard, notebooks, ``python -c`` and a REPL. Functions of the host run in the parent.
"""
