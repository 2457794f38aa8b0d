"""Account for every function of the C API: used by the package, or listed with a reason.

The list is ``ci/unbound.txt``: a line ``# reason`` and below it the functions that nobody uses
for that reason. A test keeps it honest in both directions.

    python -m ci.unbound             print what is neither used nor listed, and stale entries
    python -m ci.unbound --update    drop stale entries, add the missing ones with the reason that
                                     their name suggests; read the result before committing it
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ci import ROOT

LIST = ROOT / "ci" / "unbound.txt"

HEAD = """\
Functions of the C API that the package does not use, by reason. Kept by ci/unbound.py; the
test tests/native_library/test_coverage_of_c_api.py fails when a function is used and listed, or
neither.
"""

SUPERSEDED = "superseded: the wasmtime_* function of the same purpose knows stores and all types"
#: Reasons that names suggest, the first match wins; `--update` uses them for new entries.
SUGGESTIONS: Sequence[tuple[str, str]] = (
    (
        r"^wasmtime_eqref_|^wasmtime_(array|struct)ref_to_eqref$|^wasmtime_anyref_as_",
        "not needed: references below any are kept as anyrefs, of the class of what they refer to",
    ),
    (r"^wasmtime_anyref_is_i31$", "wrong in 50.0.1: true for structs and arrays; i31_get_s tells"),
    (
        r"^wasmtime_(any|array|exn|extern|struct)ref_(clone|unroot)$|^wasmtime_exnref_from_raw$",
        "not needed: wasmtime_val_clone and wasmtime_val_unroot do it for all references",
    ),
    (
        r"^wasmtime_(field_type|heaptype|reftype|storage_type|valtype)_(clone|delete)$"
        r"|^wasmtime_wasm_valtype_v128$",
        "not needed: types are read into Python values, or deleted with what holds them",
    ),
    (
        r"^wasmtime_(engine|module|sharedmemory)_clone$",
        "not needed: the Python objects that share a native one count their references",
    ),
    (
        r"^wasmtime_func_(from|to)_raw$",
        "not needed: calls with functions among their values take the checked form",
    ),
    (
        r"^wasmtime_extern_(type|delete)$",
        "not needed: items are taken apart by kind, each kind reads its own type",
    ),
    (r"^wasmtime_context_set_data$", "not needed: a store's data is set when it is made"),
    (
        r"^wasmtime_trap_new_code$",
        "not needed: what a host function raises arrives as the same Python object",
    ),
    (
        r"^wasi_config_inherit_(argv|env)$",
        "not needed: Python's own arguments and environment are given one by one",
    ),
    (
        r"host_(memory|stack)_creator_set$",
        "not bound: a creator must lay out guard pages exactly as compiled code assumes and is "
        "called without the GIL on any thread; a mistake in Python would corrupt memory",
    ),
    (r"_vec_(new|new_empty|new_uninitialized|copy)$", "not needed: vectors are made in one place"),
    (r"_host_info(_with_finalizer)?$", "not needed: Python objects carry what users attach"),
    (r"^wasm_\w+_(as|same)_?|^wasm_\w+_as_\w+$", "not needed: conversions of the standard API"),
    (r"^wasm_\w*(foreign|shared)", "not needed: foreign objects and sharing of the standard API"),
    (r"async|call_future|component_\w*(future|stream)", "to come: asynchronous calls"),
    (r"^wasmtime_component_|^wasmtime_module_type", "to come: the component model"),
    (r"^wasm_", SUPERSEDED),
    (r"", "to come"),
)


def declared() -> set[str]:
    """Return the names of all declared functions."""
    names: dict[str, object] = {"__file__": str(ROOT / "csrc" / "ffi_build.py")}
    source = (ROOT / "csrc" / "ffi_build.py").read_text(encoding="utf-8")
    exec(compile(source, "ffi_build.py", "exec"), names)
    return set(names["function_names"]())  # type: ignore[operator]


def words_of_python(source: str) -> Iterator[str]:
    """Give the names in Python code, and the strings that are one name, as in a table of names.

    Comments and longer strings, docstrings among them, do not count as use.
    """
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.string
        elif token.type == tokenize.STRING:
            yield token.string.lstrip("rbfuRBFU").strip("\"'")


def words_of_c(source: str) -> Iterator[str]:
    """Give the names in C code outside of comments."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", source, flags=re.DOTALL)
    yield from re.findall(r"\w+", code)


def used(functions: set[str], package: Path = ROOT / "wasmtime") -> set[str]:
    """Return the functions that the package uses, in Python or in C.

    Args:
        functions: The names to look for.
        package: Directory of the Python package.

    Returns:
        The ones that were found.
    """
    found: set[str] = set()
    for path in sorted(package.rglob("*.py")):
        found.update(functions.intersection(words_of_python(path.read_text(encoding="utf-8"))))
    for path in sorted((ROOT / "csrc" / "core").rglob("*.[ch]")):
        found.update(functions.intersection(words_of_c(path.read_text(encoding="utf-8"))))
    return found


def read_list(text: str) -> dict[str, str]:
    """Return the reason for each listed function.

    Args:
        text: Contents of the list.

    Returns:
        Reasons by function.

    Raises:
        ValueError: A function is listed twice, or before any reason.
    """
    reasons: dict[str, str] = {}
    reason = ""
    for line in text.partition("\n\n")[2].splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            if line in reasons or not reason:
                raise ValueError(f"ci/unbound.txt: {line} is listed twice, or without a reason")
            reasons[line] = reason
    return reasons


def suggest(function: str) -> str:
    """Return the reason that a function's name suggests."""
    return next(reason for pattern, reason in SUGGESTIONS if re.search(pattern, function))


def write_list(reasons: Mapping[str, str]) -> str:
    """Return the text of the list."""
    text = HEAD
    for reason in sorted(set(reasons.values())):
        names = sorted(name for name, why in reasons.items() if why == reason)
        text += f"\n# {reason}\n" + "".join(f"{name}\n" for name in names)
    return text


def account(update: bool) -> bool:
    """Compare the list with what is declared and used; print what differs.

    Args:
        update: Bring the list up to date.

    Returns:
        Whether nothing differed.
    """
    functions = declared()
    bound = used(functions)
    listed = read_list(LIST.read_text(encoding="utf-8")) if LIST.exists() else {}
    missing = sorted(functions - bound - set(listed))
    stale = sorted(name for name in listed if name in bound or name not in functions)
    for name in missing:
        print(f"neither used nor listed: {name} ({suggest(name)}?)")
    for name in stale:
        print(f"listed, but {'used' if name in functions else 'unknown'}: {name}")
    print(f"{len(functions)} functions: {len(bound)} used, {len(functions) - len(bound)} not")
    if update:
        kept = {name: reason for name, reason in listed.items() if name not in stale}
        kept.update({name: suggest(name) for name in missing})
        LIST.write_text(write_list(kept), encoding="utf-8", newline="\n")
    return not missing and not stale


def main() -> int:
    """Run the program.

    Returns:
        The exit status: 1 when something is unaccounted for, and stays so.
    """
    parser = argparse.ArgumentParser(description="Account for every function of the C API.")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    return 0 if account(options.update) or options.update else 1


if __name__ == "__main__":
    sys.exit(main())
