"""
The inputs that the fuzzer found worth keeping, replayed without it, and random ones.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = """
import random, sys, target
from pathlib import Path
for path in sorted(Path("corpus").iterdir()):
    print(path.name, flush=True)
    target.check(path.read_bytes())
chance = random.Random(1)
for number in range(4000):
    raw = chance.randbytes(chance.randrange(1, 120))
    print(raw.hex(), flush=True)
    target.check(raw)
"""


def test_the_corpus_and_random_inputs() -> None:
    assert len(list((HERE / "corpus").iterdir())) >= 40
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=HERE, capture_output=True, text=True, timeout=110
    )
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"status {done.returncode} at {last}\n{done.stderr}"
