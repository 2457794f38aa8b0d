"""
What the workers of executors import in tests: functions of the host, and odd inputs.
"""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

#: A plug-in whose function doubles a number that the host has looked at.
ASKING = """
(module (import "env" "look" (func $look (param i32)))
  (func (export "double") (param i32) (result i32)
    (call $look (local.get 0)) (i32.mul (local.get 0) (i32.const 2))))
"""


def kill_at_13(number: int) -> None:
    """
    Kill this process, if it is a worker's, where the guest asks for 13.
    """
    if number == 13 and (
        multiprocessing.parent_process() is not None or "DASK_PARENT" in os.environ
    ):
        os._exit(1)


class Unpicklable:
    """
    Cannot be pickled.
    """

    def __reduce__(self) -> Any:
        raise ValueError("no pickle of this")

    def __repr__(self) -> str:
        return "<an odd input>"


def refuse() -> None:
    """
    Fail where an input is unpickled.
    """
    raise ValueError("not here")


class Unloadable:
    """
    Pickles, and cannot be unpickled.
    """

    def __reduce__(self) -> Any:
        return refuse, ()
