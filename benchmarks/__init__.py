"""How fast the package is, beside the published one of the same version.

``python -m benchmarks`` makes two virtual environments, one with this checkout and one with the
published package, lets pyperf measure the same rows in both, alternating, and prints a table. The
files of this directory hold one concern each; see `benchmarks.rows` for how a row is written.
"""
