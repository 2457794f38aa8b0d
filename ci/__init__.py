"""Programs that make and check what is committed and released: ``python -m ci.NAME``."""

from pathlib import Path

#: The checkout.
ROOT = Path(__file__).resolve().parent.parent
