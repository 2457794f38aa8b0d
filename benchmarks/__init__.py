"""
How fast the package is, beside the published one of the same version.

``python -m benchmarks`` makes two virtual environments, one with this checkout and one with the
published package, runs the same script in both, alternating, and prints a table. The files of this
directory hold one concern each; see `benchmarks.harness` for how a row is written.
"""
