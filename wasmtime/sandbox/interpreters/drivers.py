"""Drivers: programs in the language of an interpreter, between it and the host.

A driver and the host talk over the standard streams. What the driver says is a line on standard
output that begins with a mark that nobody else knows beforehand; the answer is a line on standard
input. Each line is JSON:

=============================  ===========================================
the driver says                the answer
=============================  ===========================================
``["call", name, args, kw]``   ``["value", v]``, or ``["error", text]``
``["next", status, value]``    ``["code", text]``, when there is a snippet; a
                               third item is a seed for the language's own
                               generators, four numbers of 32 bits
=============================  ===========================================

A snippet may learn the mark and say such lines itself. It gains nothing by it: it may call the
functions anyway, and what it tells of itself concerns itself alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import Literal

__all__ = ["Language", "calling", "reseeding", "session", "settling"]

#: The languages that there are drivers for.
Language = Literal["python", "javascript"]

_RESEED_PYTHON = """\
def reseed(words):
    # What draws from the system, such as secrets, needs nothing.
    import sys
    modules = sys.modules
    seed = words[0] | words[1] << 32 | words[2] << 64 | words[3] << 96
    if "random" in modules:
        modules["random"].seed(seed)
    if "numpy.random" in modules:
        modules["numpy.random"].seed(seed % 2**32)
    if "uuid" in modules:
        modules["uuid"]._node = modules["uuid"]._last_timestamp = None
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
"""

_PYTHON = f"""\
def __driver(mark, names, scope):
    import json, sys
    out, err, inp = sys.stdout, sys.stderr, sys.stdin
    def flush(stream):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # MicroPython buffers nothing, and flushes with a call that streams refuse
    def ask(*said):
        flush(err)  # nobody else does, once the snippet has ended
        out.write(mark + json.dumps(said) + "\\n")
        flush(out)
        line = inp.readline()
        if not line:
            raise SystemExit(0)
        return json.loads(line)
    def function(name):
        def call(*args, **kwargs):
            kind, answer = ask("call", name, args, kwargs)
            if kind == "error":
                raise RuntimeError(answer)
            return answer
        return call
    for name in names:
        scope[name] = function(name)
    def run(code):
        try:
            try:
                made = compile(code, "<snippet>", "eval")
            except SyntaxError:
                exec(compile(code, "<snippet>", "exec"), scope)
                return 0, None
            value = eval(made, scope)
            try:
                return 0, json.loads(json.dumps(value))
            except (TypeError, ValueError):
                return 0, None
        except SystemExit:
            raise
        except BaseException as error:
            if hasattr(sys, "print_exception"):
                sys.print_exception(error, sys.stderr)
            else:
                import traceback
                traceback.print_exc()
            return 1, None
{indent(_RESEED_PYTHON, "    ")}\
    def serve():
        status, value = 0, None
        while True:
            said = ask("next", status, value)
            if len(said) > 2:
                reseed(said[2])
            status, value = run(said[1])
    return serve
"""

_SETTLE_PYTHON = """\
import gc
compile("0", "<driver>", "eval")  # which makes the compiler's types
gc.collect()
if hasattr(gc, "freeze"):
    gc.freeze()  # what is there is not looked through again, which would write to all of it
"""

_RESEED_JAVASCRIPT = """\
([a, b, c, d]) => {  // xoshiro128**
    const next = () => {
      const drawn = Math.imul(b, 5), result = Math.imul((drawn << 7) | (drawn >>> 25), 9) >>> 0;
      const shifted = b << 9;
      c ^= a; d ^= b; b ^= c; a ^= d; c ^= shifted; d = (d << 11) | (d >>> 21);
      return result;
    };
    Math.random = function random() {
      return (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
    };
  }"""

_JAVASCRIPT = """\
globalThis.__driver = ((std, mark, names) => {
  const ask = (...said) => {
    std.err.flush();
    std.out.puts(mark + JSON.stringify(said) + "\\n");
    std.out.flush();
    const line = std.in.getline();
    if (line === null) std.exit(0);
    return JSON.parse(line);
  };
  for (const name of names)
    globalThis[name] = (...args) => {
      const [kind, answer] = ask("call", name, args, {});
      if (kind === "error") throw new Error(answer);
      return answer;
    };
  const evaluate = eval;
  const run = (code) => {
    try {
      const value = evaluate(code);
      let told = null;
      try { told = value === undefined ? null : JSON.parse(JSON.stringify(value) ?? "null"); }
      catch { told = null; }
      return [0, told];
    } catch (error) {
      std.err.puts(`${error}\\n${error && error.stack || ""}\\n`);
      return [1, null];
    }
  };
  const reseed = %(reseed)s;
  return () => {
    let status = 0, value = null;
    for (;;) {
      const said = ask("next", status, value);
      if (said.length > 2) reseed(said[2]);
      [status, value] = run(said[1]);
    }
  };
})(std, %(mark)s, %(names)s);
delete globalThis.std; delete globalThis.os; delete globalThis.bjson;
const __serve = globalThis.__driver; delete globalThis.__driver;
"""


def calling(language: Language, mark: str, names: Iterable[str], code: str) -> str:
    """A program that can call functions of the host.

    Args:
        language: Its language.
        mark: Begins what is for the host.
        names: Of the functions.
        code: The program.
    """
    if language == "python":
        return f"{_PYTHON}__driver({mark!r}, {list(names)!r}, globals())\ndel __driver\n{code}"
    return _javascript(mark, names) + code


def session(language: Language, mark: str, names: Iterable[str], setup: str) -> str:
    """A program that runs one snippet after another, as the host gives them.

    Args:
        language: Its language.
        mark: Begins what is for the host.
        names: Of the functions of the host.
        setup: What it runs first.
    """
    if language == "python":
        # Snippets have a namespace of their own, without the driver.
        return (
            f'{_PYTHON}__scope = {{"__name__": "__main__"}}\n'
            f"__serve = __driver({mark!r}, {list(names)!r}, __scope)\n"
            f"exec({setup!r}, __scope)\n__serve()\n"
        )
    return _javascript(mark, names) + f"\n(0, eval)({json.dumps(setup)});\n__serve();\n"


def settling(language: Language) -> str:
    """A snippet that ends the setup of what copies are made of: what each would do is done once.

    Args:
        language: The language.
    """
    return f"\nexec({_SETTLE_PYTHON!r}, {{}})\n" if language == "python" else ""


def reseeding(language: Language, words: Sequence[int]) -> str:
    """A snippet that lets the generators of a language begin anew.

    Args:
        language: The language.
        words: What they begin with: four numbers of 32 bits.
    """
    if language == "python":  # in a namespace of its own
        program = f"{_RESEED_PYTHON}reseed({list(words)})\n"
        return f"exec({program!r}, {{}})"
    return f"({_RESEED_JAVASCRIPT})({json.dumps(list(words))})"


def _javascript(mark: str, names: Iterable[str]) -> str:
    parts = {"mark": json.dumps(mark), "names": json.dumps(list(names))}
    return _JAVASCRIPT % {**parts, "reseed": _RESEED_JAVASCRIPT}
