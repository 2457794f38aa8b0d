"""
The resources of the interface, which componentize-py looks for in a module of its name.
"""

from wit_world import exports


class Counter(exports.filter.Counter):
    """
    Counts words.
    """

    def __init__(self) -> None:
        self.words = 0

    def add(self, text: str) -> None:
        """
        Count the words of a text.
        """
        self.words += len(text.split())

    def total(self) -> int:
        """
        How many there were.
        """
        return self.words
