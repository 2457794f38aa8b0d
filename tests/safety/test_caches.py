"""
Caches of compiled code, and files of profilers, where another user is at work.

What a cache holds is machine code that runs in the process. These tests put directories, links and
entries of other users in its way; most of them need root, who alone can make files of others.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Union

import pytest

from wasmtime import Config, Engine, Instance, Module, Store, WasmtimeError
from wasmtime._artifacts import private_directory
from wasmtime._artifacts.cache import open_cache

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such permissions here")
as_root = pytest.mark.skipif(
    os.name == "posix" and os.geteuid() != 0, reason="only root can make files of other users"
)

TEXT = '(func (export "answer") (result i32) (i32.const 42))'
#: A user that does not exist.
SOMEBODY = 54321


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.wat"
    path.write_text(TEXT)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """
    Where the cache is to be, below two directories of this user's.
    """
    (tmp_path / "grandparent" / "parent").mkdir(parents=True)
    return tmp_path / "grandparent" / "parent" / "cache"


def load(engine: Engine, program: Path, cache: Union[bool, Path]) -> None:
    module = Module.from_file(engine, program, cache=cache)
    store = Store(engine)
    assert Instance(store, module, []).exports(store)["answer"](store) == 42


def entry_of(directory: Path) -> Path:
    (entry,) = directory.glob("*.cwasm")
    return entry


def was_written(directory: Path, engine: Engine, program: Path) -> bool:
    """
    Whether a load replaces the entry, as it does with one that is of no use.
    """
    before = os.lstat(entry_of(directory)).st_ino
    load(engine, program, directory)
    return os.lstat(entry_of(directory)).st_ino != before


# --- directories -------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("place", ["cache", "parent", "grandparent"])
def test_a_directory_of_another_user_on_the_path_is_refused(
    engine: Engine, program: Path, directory: Path, place: str
) -> None:
    load(engine, program, directory)
    theirs = next(path for path in (directory, *directory.parents) if path.name == place)
    os.chown(theirs, SOMEBODY, SOMEBODY)
    with pytest.raises(WasmtimeError, match="not safe") as raised:
        load(engine, program, directory)
    assert f"{str(theirs)!r} belongs to user {SOMEBODY} (mode 0" in str(raised.value)


@pytest.mark.parametrize("mode", [0o777, 0o757])
@pytest.mark.parametrize("place", ["cache", "parent", "grandparent"])
def test_a_directory_that_everybody_can_write_to_is_refused(
    engine: Engine, program: Path, directory: Path, place: str, mode: int
) -> None:
    load(engine, program, directory)
    open_to_all = next(path for path in (directory, *directory.parents) if path.name == place)
    open_to_all.chmod(mode)
    with pytest.raises(WasmtimeError, match=f"{place}' has mode {mode:04o}, so that others can"):
        load(engine, program, directory)


@as_root
@pytest.mark.parametrize("group", [0, SOMEBODY])
def test_a_directory_that_a_group_can_write_to_is_refused(
    engine: Engine, program: Path, directory: Path, group: int
) -> None:
    os.chown(directory.parent, 0, group)
    directory.parent.chmod(0o775)
    with pytest.raises(WasmtimeError, match="parent' has mode 0775, so that others can write"):
        load(engine, program, directory)


def test_the_group_of_one_user_may_write(
    engine: Engine, program: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Many systems make such a group for each user, and a umask that lets it write.
    """
    directory.parent.chmod(0o775)
    monkeypatch.setattr(private_directory, "_is_group_of_one", lambda group, user: True)
    load(engine, program, directory)
    monkeypatch.setattr(private_directory, "_has_access_list", lambda directory: True)
    with pytest.raises(WasmtimeError, match="others can write"):
        load(engine, program, directory)


def test_what_a_group_of_one_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    user = pwd.struct_passwd(("ada", "x", 1815, 1815, "", "/home/ada", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: user)

    def is_own(name: str, members: list[str], group: int = 1815) -> bool:
        entry = grp.struct_group((name, "x", group, members))
        monkeypatch.setattr(grp, "getgrgid", lambda number: entry)
        return private_directory._is_group_of_one(group, 1815)

    assert is_own("ada", [])
    assert is_own("ada", ["ada"])
    assert not is_own("ada", ["ada", "charles"])
    assert not is_own("users", [])
    assert not is_own("ada", [], group=100)
    assert not is_own("ada", [], group=0)


@as_root
def test_a_sticky_directory_is_good_enough_above_the_cache(
    engine: Engine, program: Path, directory: Path
) -> None:
    directory.parent.chmod(0o1777)
    load(engine, program, directory)
    os.chown(directory, SOMEBODY, SOMEBODY)  # somebody was there first
    with pytest.raises(WasmtimeError, match="belongs to user"):
        load(engine, program, directory)
    with pytest.raises(WasmtimeError, match="mode 1777"):
        load(engine, program, directory.parent)


def test_own_links_are_followed(engine: Engine, program: Path, directory: Path) -> None:
    relative = directory.parent / "relative"
    relative.symlink_to("../real/./x/..")
    absolute = directory.parent / "absolute"
    absolute.symlink_to(relative, target_is_directory=True)
    load(engine, program, absolute / "cache")
    assert entry_of(directory.parent.parent / "real" / "cache")


@as_root
def test_a_link_of_another_user_is_refused(engine: Engine, program: Path, directory: Path) -> None:
    elsewhere = directory.parent.parent / "elsewhere"
    elsewhere.mkdir()
    directory.symlink_to(elsewhere)
    os.chown(directory, SOMEBODY, SOMEBODY, follow_symlinks=False)
    with pytest.raises(WasmtimeError, match=f"is a link of user {SOMEBODY}"):
        load(engine, program, directory)


def test_the_way_that_a_link_leads_is_checked(
    engine: Engine, program: Path, directory: Path
) -> None:
    open_to_all = directory.parent.parent / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    directory.symlink_to(open_to_all / "cache")
    with pytest.raises(WasmtimeError, match="open' has mode 0777"):
        load(engine, program, directory)


def test_links_in_a_circle_are_an_oserror(engine: Engine, program: Path, directory: Path) -> None:
    directory.symlink_to(directory)
    with pytest.raises(OSError, match="symbolic links"):
        load(engine, program, directory)


def test_a_file_in_the_way_is_an_oserror_that_names_it(
    engine: Engine, program: Path, directory: Path
) -> None:
    directory.write_text("")
    with pytest.raises(NotADirectoryError) as raised:
        load(engine, program, directory / "inner")
    assert raised.value.filename == str(directory)


def test_a_directory_exchanged_after_it_was_opened_is_not_used(
    engine: Engine, program: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = directory.parent / "moved"
    compile = Module._compile

    def exchange(self: Module, *arguments: Any) -> None:
        directory.rename(moved)
        directory.mkdir()
        compile(self, *arguments)

    monkeypatch.setattr(Module, "_compile", exchange)
    load(engine, program, directory)
    assert entry_of(moved)
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="needs the permission to read there")
@as_root
def test_a_directory_that_can_only_be_passed_through_is_no_obstacle() -> None:
    """
    As /home is on some machines.
    """
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o711)
        own = os.path.join(home, "own")
        os.mkdir(own)
        os.chown(own, SOMEBODY, SOMEBODY)
        code = f"""
            import os
            from wasmtime._artifacts.private_directory import PrivateDirectory
            os.setegid({SOMEBODY})
            os.seteuid({SOMEBODY})
            with PrivateDirectory({os.path.join(own, "cache")!r}, "it") as directory:
                directory.write("a", b"b")
                assert directory.open("a").read() == b"b"
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


# --- entries -----------------------------------------------------------------------------------


def _exchange_for_link(entry: Path) -> None:
    entry.rename(entry.with_suffix(".other"))
    entry.symlink_to(entry.with_suffix(".other"))


def _exchange_for_fifo(entry: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda entry: os.chown(entry, SOMEBODY, SOMEBODY), marks=as_root, id="theirs"),
        pytest.param(lambda entry: entry.chmod(0o620), id="group"),
        pytest.param(lambda entry: entry.chmod(0o602), id="world"),
        pytest.param(lambda entry: os.link(entry, entry.with_suffix(".x")), id="names"),
        pytest.param(_exchange_for_link, id="link"),
        pytest.param(_exchange_for_fifo, id="fifo"),
    ],
)
def test_an_entry_that_is_not_this_users_alone_is_compiled_again(
    engine: Engine, program: Path, directory: Path, spoil: Callable[[Path], None]
) -> None:
    load(engine, program, directory)
    assert not was_written(directory, engine, program)
    spoil(entry_of(directory))
    assert was_written(directory, engine, program)
    assert not was_written(directory, engine, program)


@pytest.mark.parametrize("umask", [0o002, 0o000])
def test_what_is_made_is_for_this_user_alone_under_any_umask(
    engine: Engine, program: Path, directory: Path, umask: int
) -> None:
    os.umask(umask)
    deep = directory / "deep" / "deeper"
    load(engine, program, deep)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, deep.parent, deep)] == [
        0o700,
        0o700,
        0o700,
    ]
    assert stat.S_IMODE(entry_of(deep).stat().st_mode) == 0o600


def test_temporaries_of_killed_writers_are_removed(
    engine: Engine, program: Path, directory: Path
) -> None:
    directory.mkdir(mode=0o700)
    old, young = directory / "old.tmp", directory / "young.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    yesterday = time.time() - 86400
    os.utime(old, (yesterday, yesterday))
    load(engine, program, directory)
    assert not old.exists()
    assert young.exists()
    assert entry_of(directory)


# --- the user's own directory ------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return home


def test_the_users_own_directory(engine: Engine, program: Path, home: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(engine, program, True)
    assert len(list(home.rglob("*.cwasm"))) == 1
    assert open_cache(True).is_usable()


@as_root
def test_a_home_of_another_user_is_not_used(engine: Engine, program: Path, home: Path) -> None:
    """
    As with ``sudo``, where code that the other user has put there would run as root.
    """
    os.chown(home, SOMEBODY, SOMEBODY)
    with pytest.warns(RuntimeWarning, match="compiled without the cache: .* is not safe") as told:
        load(engine, program, True)
    assert told[0].filename == __file__
    assert list(home.iterdir()) == []
    assert not open_cache(True).is_usable()


def test_a_home_that_cannot_be_written_is_a_warning(
    engine: Engine, program: Path, home: Path
) -> None:
    home.rmdir()
    home.write_text("no directory")
    with pytest.warns(RuntimeWarning, match="compiled without the cache"):
        load(engine, program, True)


def test_a_warning_names_the_line_that_asked_for_the_cache(
    engine: Engine, program: Path, home: Path
) -> None:
    home.rmdir()
    home.write_text("no directory")
    for ask in (
        lambda: Module(engine, "(module)", cache=True),
        lambda: Module.from_file(engine, program, cache=True),
    ):
        with pytest.warns(RuntimeWarning, match="compiled without the cache") as told:
            ask()
        assert told[0].filename == __file__


@pytest.mark.skipif(sys.platform == "darwin", reason="there are no such variables here")
def test_a_relative_directory_in_the_environment_is_ignored(
    engine: Engine, program: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    load(engine, program, True)
    assert entry_of(home / ".cache" / "wasmtime-python" / "compiled")


def test_no_home_is_a_warning_and_makes_no_directory_of_that_name(
    engine: Engine, program: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.warns(RuntimeWarning, match="no home directory"):
        load(engine, program, True)
    assert list(home.iterdir()) == []


# --- the library's own cache -------------------------------------------------------------------


def with_library_cache(value: Union[bool, str]) -> None:
    config = Config()
    config.cache = value
    Module(Engine(config), "(module)")


@pytest.fixture
def settings(tmp_path: Path, directory: Path) -> Path:
    path = tmp_path / "cache.toml"
    path.write_text(f'[cache]\n# directory = "/"\ndirectory = "{directory}"\n')
    return path


def test_the_library_cache_is_made_for_this_user_alone(settings: Path, directory: Path) -> None:
    os.umask(0)
    for _ in range(2):
        with_library_cache(str(settings))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("place", ["cache", "parent", "modules"])
def test_a_library_cache_that_others_can_write_to_is_refused(
    settings: Path, directory: Path, place: str
) -> None:
    directory.mkdir(mode=0o755)
    modules = directory / "modules"
    modules.mkdir()
    {"cache": directory, "parent": directory.parent, "modules": modules}[place].chmod(0o777)
    with pytest.raises(WasmtimeError, match=f"{place}' has mode 0777"):
        with_library_cache(str(settings))


def test_a_config_from_elsewhere_is_checked_when_it_is_used(
    settings: Path, directory: Path
) -> None:
    config = Config()
    config.cache = str(settings)
    directory.parent.chmod(0o777)
    with pytest.raises(WasmtimeError, match="mode 0777"):
        Engine(config)


@pytest.mark.parametrize("form", ["'{}'", '"{}"', '"{}" # "/"', "'{}' # '/'"])
def test_a_directory_is_found_in_any_quotes(settings: Path, directory: Path, form: str) -> None:
    settings.write_text(f"[cache]\ndirectory={form.format(directory)}\n")
    directory.parent.chmod(0o777)
    with pytest.raises(WasmtimeError, match="mode 0777"):
        with_library_cache(str(settings))


def test_a_directory_with_escapes_is_found(settings: Path, directory: Path) -> None:
    escaped = str(directory).replace("cache", "\\u0063ache")
    settings.write_text(f'[cache]\ndirectory = "{escaped}"\n')
    with_library_cache(str(settings))
    assert directory.is_dir()
    directory.chmod(0o777)
    with pytest.raises(WasmtimeError, match="mode 0777"):
        with_library_cache(str(settings))


def test_a_directory_that_cannot_be_read_out_of_the_file_is_refused(
    settings: Path, directory: Path
) -> None:
    for text in (f'"{directory}\\U00000061"', f'"""\n{directory}"""', f"'''{directory}'''"):
        settings.write_text(f"[cache]\ndirectory = {text}\n")
        with pytest.raises(WasmtimeError, match="single quotes"):
            with_library_cache(str(settings))
    assert not directory.exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="the cache lies elsewhere")
def test_the_default_library_cache_is_checked(home: Path) -> None:
    with_library_cache(True)
    cache = home / ".cache" / "wasmtime"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    (home / ".cache").chmod(0o777)
    with pytest.raises(WasmtimeError, match=r"\.cache' has mode 0777"):
        with_library_cache(True)
    (home / ".config" / "wasmtime").mkdir(parents=True)
    other = home / "other"
    (home / ".config" / "wasmtime" / "config.toml").write_text(f"[cache]\ndirectory = '{other}'\n")
    with_library_cache(True)
    assert other.is_dir()


# --- files of profilers ------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="jitdump is for Linux")
@pytest.mark.parametrize(
    ("profiler", "path"), [("perfmap", "/tmp/perf-{}.map"), ("jitdump", "./jit-{}.dump")]
)
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("os.symlink(victim, path)", "it is a link"),
        ("os.symlink(victim + '2', path)", "it is a link"),
        ("os.link(victim, path)", "it has 2 names"),
        ("os.mkfifo(path)", "it is not a regular file"),
        ("open(path, 'w').close(); os.chmod(path, 0o666)", "others can write to it"),
        pytest.param(
            f"open(path, 'w').close(); os.chown(path, {SOMEBODY}, {SOMEBODY})",
            f"it belongs to user {SOMEBODY}",
            marks=as_root,
        ),
        ("open(path, 'w').close()", ""),
    ],
)
def test_a_file_prepared_under_the_name_of_a_profiler_is_refused(
    tmp_path: Path, profiler: str, path: str, prepare: str, reason: str
) -> None:
    code = f"""
        import os
        from wasmtime import Config, Engine, Module, WasmtimeError
        victim, path = "victim", {path!r}.format(os.getpid())
        victim = os.path.join(os.path.dirname(path), f"wasmtime-victim-{{os.getpid()}}")
        for left in path, victim, victim + "2":  # by a process that had this number once
            if os.path.lexists(left):
                os.unlink(left)
        with open(victim, "w") as file:
            file.write("precious")
        {prepare}
        config = Config()
        config.profiler = {profiler!r}
        try:
            Module(Engine(config), "(func)")
        except WasmtimeError as error:
            print(error)
        assert open(victim).read() == "precious"
        assert not os.path.exists(victim + "2")
        os.unlink(path)
        os.unlink(victim)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert reason in done.stdout
    assert bool(reason) == bool(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="jitdump is for Linux")
def test_a_profiler_writes_to_no_directory_where_everybody_may_exchange_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.profiler = "jitdump"
    with pytest.raises(WasmtimeError, match="everybody may exchange it"):
        Engine(config)
