"""Read what a shared library of any platform exports and needs, for the checks of this directory.

ELF, Mach-O and PE are parsed by lief, so that every platform's files can be read on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Union

import lief

#: What lief calls the architectures, and what Python's platform tags do.
MACHINES = {"X86_64": "x86_64", "AMD64": "x86_64", "AARCH64": "aarch64", "ARM64": "aarch64"}


@dataclass
class Binary:
    """What there is to know of a shared library.

    Attributes:
        format: ``ELF``, ``Mach-O`` or ``PE``.
        machine: ``x86_64`` or ``aarch64``.
        exports: The names of what it exports, without Mach-O's leading underscore.
        needed: The file names of the libraries that it needs.
        name: The name that it gives itself: SONAME, id or the name in a PE export table.
        run_paths: By kind, the directories where its libraries are looked for.
        versions: By needed library, the versions of symbols that it needs.
        minimum_os: The oldest macOS that it runs on, as in ``(11, 0)``.
        sections: The names of its sections.
    """

    format: str
    machine: str
    exports: set[str] = field(default_factory=set)
    needed: list[str] = field(default_factory=list)
    name: Optional[str] = None
    run_paths: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, set[str]] = field(default_factory=dict)
    minimum_os: Optional[tuple[int, ...]] = None
    sections: set[str] = field(default_factory=set)

    def newest(self, prefix: str) -> tuple[int, ...]:
        """Return the newest version with a prefix such as ``GLIBC_`` that is needed, or ()."""
        found = [
            tuple(int(part) for part in version[len(prefix) :].split("."))
            for versions in self.versions.values()
            for version in versions
            if version.startswith(prefix) and version[len(prefix) :].replace(".", "").isdigit()
        ]
        return max(found, default=())


def _machine(value: Any) -> str:
    name = str(value.name)
    return MACHINES.get(name, name)


def _elf(binary: Any) -> Binary:
    paths: dict[str, list[str]] = {}
    name = None
    for entry in binary.dynamic_entries:
        if entry.tag.name in ("RPATH", "RUNPATH"):
            # lief 1.0 names the attribute after the entry's own kind.
            text = getattr(entry, entry.tag.name.lower())
            paths[entry.tag.name] = text.split(":")
        elif entry.tag.name == "SONAME":
            name = entry.name
    versions: dict[str, set[str]] = {}
    for requirement in binary.symbols_version_requirement:
        auxiliary = {symbol.name for symbol in requirement.get_auxiliary_symbols()}
        versions.setdefault(requirement.name, set()).update(auxiliary)
    return Binary(
        "ELF",
        _machine(binary.header.machine_type),
        {symbol.name for symbol in binary.exported_symbols},
        list(binary.libraries),
        name,
        paths,
        versions,
        sections={section.name for section in binary.sections},
    )


def _macho(binary: Any) -> Binary:
    result = Binary("Mach-O", _machine(binary.header.cpu_type))
    result.exports = {symbol.name[1:] for symbol in binary.exported_symbols}
    result.sections = {section.name for section in binary.sections}
    for command in binary.commands:
        kind = command.command.name
        if kind == "ID_DYLIB":
            result.name = command.name
        elif kind in ("LOAD_DYLIB", "LOAD_WEAK_DYLIB", "REEXPORT_DYLIB"):
            result.needed.append(command.name)
        elif kind == "RPATH":
            result.run_paths.setdefault("RPATH", []).append(command.path)
        elif kind == "BUILD_VERSION":
            result.minimum_os = tuple(command.minos[:2])
        elif kind == "VERSION_MIN_MACOSX":
            result.minimum_os = tuple(command.version[:2])
    return result


def _pe(binary: Any) -> Binary:
    result = Binary("PE", _machine(binary.header.machine))
    exported = binary.get_export()
    if exported is not None:
        result.exports = {entry.name for entry in exported.entries}
        result.name = exported.name
    result.needed = [library.name for library in binary.imports]
    result.sections = {section.name for section in binary.sections}
    return result


def read(source: Union[str, bytes]) -> Binary:
    """Read a shared library.

    Args:
        source: The path, or the contents.

    Returns:
        What it exports and needs.

    Raises:
        ValueError: It is no shared library of a format that is known here.
    """
    lief.logging.disable()
    binary: Any = lief.parse(source)
    readers = {lief.ELF.Binary: _elf, lief.MachO.Binary: _macho, lief.PE.Binary: _pe}
    for kind, reader in readers.items():
        if isinstance(binary, kind):
            return reader(binary)
    what = source if isinstance(source, str) else f"{len(source)} bytes"
    raise ValueError(f"{what}: no shared library in ELF, Mach-O or PE format")
