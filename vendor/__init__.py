"""The locked native library: which file it is, and how it is brought here."""
