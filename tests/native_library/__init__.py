"""Tests of the bundled library, its declarations and how it is brought here."""
