"""
Numbers of bytes as text: one rule for limits of the sandbox and for the command line.
"""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from wasmtime._cli.options import size
from wasmtime.sandbox import ResourceLimits


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("7B", 7),
        ("64MiB", 64 << 20),
        (" 64 mib ", 64 << 20),
        ("64Mi", 64 << 20),
        ("64 MB", 64 * 10**6),
        ("64M", 64 * 10**6),
        ("1.5 KiB", 1536),
        ("0.1 GB", 10**8),
        ("3 TB", 3 * 10**12),
        ("8796093022207 KiB", 8796093022207 << 10),
    ],
)
def test_units_mean_the_same_everywhere(text: str, number: int) -> None:
    assert ResourceLimits(memory=text).memory == size(text) == number


OTHER = ["", "MiB", "1 iB", "-1", "1 MiBs", "1e3", ".5k", "nan", "1 2", "\u0663"]


@pytest.mark.parametrize("text", OTHER)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="memory must be like"):
        ResourceLimits(memory=text)
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size such as"):
        size(text)


def test_more_bytes_than_there_can_be_are_refused() -> None:
    text: Any = "9000000 TiB"
    with pytest.raises(ValueError, match="memory must be from 0"):
        ResourceLimits(memory=text)
    with pytest.raises(argparse.ArgumentTypeError, match="more than there can be"):
        size(text)
