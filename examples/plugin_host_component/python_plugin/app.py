"""
A plug-in in Python. It is compiled by componentize-py, together with CPython.
"""

from typing import List, Optional

from componentize_py_types import Err
from filter import Counter
from wit_world import exports
from wit_world.exports import filter
from wit_world.imports import console
from wit_world.imports.console import Level

__all__ = ["Counter", "Filter"]

GREETINGS = {"en": "Good day: ", "de": "Guten Tag: "}


class Filter(exports.Filter):
    """
    Puts a greeting in front of texts.
    """

    def about(self) -> filter.Description:
        """
        What this is.
        """
        languages: List[str] = sorted(GREETINGS)
        return filter.Description("greeter", languages)

    def apply(self, text: str, language: Optional[str]) -> str:
        """
        The text with a greeting.
        """
        if not text:
            raise Err(filter.Problem_Empty())
        if language is not None and language not in GREETINGS:
            console.log(Level.WARNING, f"asked for {language}")
            raise Err(filter.Problem_UnknownLanguage(language))
        return GREETINGS[language or "en"] + text
