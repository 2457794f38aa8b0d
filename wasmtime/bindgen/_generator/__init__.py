"""How packages for components and core modules are written.

In the order in which a component passes through:

- `reading` and `documentation` turn its binary into a world in the terms of WIT (`model`).
- `package` decides on the Python name of everything in the world, by the rules in `names`.
- `world`, `interfaces`, `types` and `functions` write the modules that programs import, `wiring`
  the private one. They write to a `package_module.PackageModule`, which knows type hints; what
  it is built on (`module`, `layout`, `text`) knows only Python.
- `component` does all of this, `core_module` what is needed of it for a core module.
"""
