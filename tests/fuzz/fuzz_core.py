"""
The program that `ci/fuzz.py` starts in an environment with the fuzzer.
"""

from __future__ import annotations

import sys

import atheris
import target

atheris.Setup(sys.argv, target.check)
atheris.Fuzz()
