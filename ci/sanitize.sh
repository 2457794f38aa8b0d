#!/usr/bin/env bash
# Run the tests with a `_core` that checks itself: AddressSanitizer and UndefinedBehaviorSanitizer.
#
#   ci/sanitize.sh [--fast] [pytest arguments]
#
# Everything happens in a copy of the checkout with an environment of its own; the sanitizers'
# reports go to files, so that a test which expects a process to die cannot hide one. Any report
# fails the run. Needs Linux, gcc with its sanitizer libraries, and a CPython with pip.
#
# Memory is taken from malloc (PYTHONMALLOC), so that objects of Python are checked as well. The
# library installs signal handlers of its own, for traps: the sanitizer must leave SIGSEGV and its
# relatives alone. Leaks are the business of tests/faults and tests/safety: CPython itself frees
# too little at exit for LeakSanitizer.
#
# PYTHON chooses the interpreter. The whole takes about five minutes on two cores; --fast, the tests
# of what is written in C alone, one and a half.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
compiler=${CC:-gcc}
fast=
if [ "${1:-}" = --fast ]; then
    fast=1
    shift
fi
runtime=$("$compiler" -print-file-name=libasan.so)
if [ ! -e "$runtime" ]; then
    echo "$compiler has no AddressSanitizer: install its sanitizer libraries" >&2
    exit 2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '=== %s (after %d s)\n' "$*" "$SECONDS"; }

mkdir "$work/tree"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$work/tree"

say "installing for $("$python" --version)"
"$python" -m venv "$work/env"
bin=$work/env/bin
(cd "$work/tree" && "$bin/python" -m pip install --quiet --editable '.[test]') >"$work/log" 2>&1 || {
    tail -n 50 "$work/log"
    exit 1
}

say 'building _core with the sanitizers'
flags='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g'
(cd "$work/tree" && WASMTIME_BUILD_ONLY=core CC="$compiler" CFLAGS="$flags" LDFLAGS="$flags" \
    "$bin/python" setup.py --quiet build_ext --inplace --force) >"$work/log" 2>&1 || {
    tail -n 50 "$work/log"
    exit 1
}

export LD_PRELOAD=$runtime PYTHONMALLOC=malloc
report=$work/report
options=handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:allow_user_segv_handler=1
options=$options:use_sigaltstack=0:detect_leaks=0:detect_stack_use_after_return=0
# An allocation that no machine can serve is an error that the library reports, not the sanitizer.
export ASAN_OPTIONS=$options:abort_on_error=1:allocator_may_return_null=1:log_path=$report
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$report

# Both halves of the promise, seen to work: the runtime reports, and _core is instrumented.
(cd "$work" && "$bin/python" -c '
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset(ctypes.c_void_p(libc.malloc(8)), 0, 9)') >/dev/null 2>&1 || true
if ! ls "$report".* >/dev/null 2>&1; then
    echo 'the sanitizer did not report a write past the end of a block' >&2
    exit 1
fi
rm -f "$report".*
(cd "$work" && LD_PRELOAD= "$bin/python" -c '
import glob, sys
path, = glob.glob(sys.argv[1])
data = open(path, "rb").read()
sys.exit(0 if b"__asan_report_load8" in data and b"__ubsan_handle" in data else 1)
' "$work/tree/wasmtime/_core.*.so") || {
    echo '_core was not built with the sanitizers' >&2
    exit 1
}

say 'running the tests'
status=0
if [ -n "$fast" ]; then
    tests=(tests/test_{exceptions,func,global,host_functions,instance,linker,memory,refs}.py
        tests/test_{shared_memory,store,table,trap,value,views,wasi}.py tests/faults)
else
    # Left out are the tests of other binaries than _core, and those that measure or only read.
    tests=(tests --ignore tests/native_library --ignore tests/real_programs)
    for name in benchmarks cli config config_combinations demo documents examples real_programs \
        types; do
        tests+=(--ignore "tests/test_$name.py")
    done
fi
(cd "$work/tree" && "$bin/python" -m pytest -q -p no:cacheprovider -o timeout=300 \
    -m 'not network and not slow' "${tests[@]}" "$@") || status=$?
if ls "$report".* >/dev/null 2>&1; then
    say 'the sanitizers reported'
    cat "$report".*
    exit 1
fi
say "done, no reports; pytest ended with $status"
exit "$status"
