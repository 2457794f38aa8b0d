"""
What the component imports, for the host to provide.
"""

from dataclasses import dataclass

from .console import HostConsole

__all__ = ["HostConsole", "RootImports"]


@dataclass
class RootImports:
    """
    What implements each of the imports.
    """

    console: HostConsole
