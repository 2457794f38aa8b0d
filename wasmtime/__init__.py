"""Run WebAssembly from Python."""
