"""Reading WebAssembly binaries: what the library does not tell, and what it would not survive.

- `reader` reads numbers, names and sections, and tells modules from components.
- `module` looks into core modules: tables that the C API cannot describe, names of parameters.
- `grammar` has what all readers of components share.
- `component` looks into components: the asynchronous ABI, and types of the core modules inside.
- `decode` reads what a component imports and exports, with the names that its author gave;
  `types` are the types that it finds, `scopes` the index spaces in which it looks them up.

The bytes may come from anybody: whatever they are, the answer is a result or a clean error, in time
that is linear in their number, or bounded by a budget, and without deep recursion.
"""
