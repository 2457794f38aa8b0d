"""
Type checkers agree with what the package, its examples and its documents say.

The package, the examples, the benchmarks and the programs beside this file are checked as they
lie there (see `files` and `include` in pyproject.toml). The programs in the documents are written
to files for it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import needs

from wasmtime.bindgen import generate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAMS = [HERE / "accepted.py", HERE / "refused.py"]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def run(*command: object, cwd: Path) -> None:
    """
    Run Python, which must find nothing to complain about.
    """
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=str(cwd),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def programs(text: str) -> list[str]:
    """
    The Python programs of a document: its blocks, or all of them together if it says so.
    """
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return ["\n".join(blocks)] if "<!-- blocks: one program -->" in text else blocks


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory with the programs of the documents, and with the packages that they generate.
    """
    directory = tmp_path_factory.mktemp("documented")
    for path in DOCUMENTS:
        for number, program in enumerate(programs(path.read_text(encoding="utf-8"))):
            name = f"{path.stem.lower().replace('-', '_')}_{number}"
            (directory / f"{name}.py").write_text(program, encoding="utf-8")
            call = r'generate\("(\w+)", (\w+)((?:, \w+=True)*)\)'
            for package, component, options in re.findall(call, program):
                source = re.search(rf'{component} = """(.*?)"""', program, re.DOTALL)
                assert source is not None
                switches = dict.fromkeys(re.findall(r"\w+(?==)", options), True)
                made = generate(package, source[1], **switches)
                for file, contents in made.items():
                    generated = directory / package / file
                    generated.parent.mkdir(parents=True, exist_ok=True)
                    generated.write_bytes(contents)
    return directory


@needs("numpy")
def test_what_type_checkers_accept_also_happens(tmp_path: Path) -> None:
    run(HERE / "accepted.py", cwd=tmp_path)


@pytest.mark.slow
@needs("mypy")
class TestMypy:
    def check(self, directory: Path, *paths: Path) -> None:
        # In one directory, so that the second run finds what the first has read.
        run("-m", "mypy", "--config-file", ROOT / "pyproject.toml", *paths, cwd=directory)

    def test_it_accepts_and_refuses_what_it_should(self, documented: Path) -> None:
        self.check(documented, *PROGRAMS)

    def test_it_accepts_the_programs_of_the_documents(self, documented: Path) -> None:
        self.check(documented, *sorted(documented.glob("*.py")))


@pytest.mark.slow
@needs("pyright")
class TestPyright:
    def check(self, directory: Path, *paths: Path) -> None:
        run("-m", "pyright", "--pythonpath", sys.executable, *paths, cwd=directory)

    def test_it_accepts_and_refuses_what_it_should(self, documented: Path) -> None:
        self.check(documented, *PROGRAMS)

    def test_it_accepts_the_programs_of_the_documents(self, documented: Path) -> None:
        self.check(documented, *sorted(documented.glob("*.py")))
