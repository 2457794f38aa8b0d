"""
What a component reaches of the network, and what allows it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

ERRORS = [
    "unknown",
    "access-denied",
    "not-supported",
    "invalid-argument",
    "out-of-memory",
    "timeout",
    "concurrency-conflict",
    "not-in-progress",
    "would-block",
    "invalid-state",
    "new-socket-limit",
    "address-not-bindable",
    "address-in-use",
    "remote-unreachable",
    "connection-refused",
    "connection-reset",
    "connection-aborted",
    "datagram-too-large",
    "name-unresolvable",
    "temporary-resolver-failure",
    "permanent-resolver-failure",
]

#: The types of wasi:sockets/network, which the other interfaces use.
TYPES = f"""
(type $error-code' (enum {" ".join(f'"{name}"' for name in ERRORS)}))
(export "error-code" (type $error-code (eq $error-code')))
(type $family' (enum "ipv4" "ipv6"))
(export "ip-address-family" (type $family (eq $family')))
(type $v4' (record (field "port" u16) (field "address" (tuple u8 u8 u8 u8))))
(export "ipv4-socket-address" (type $v4 (eq $v4')))
(type $v6' (record (field "port" u16) (field "flow-info" u32)
  (field "address" (tuple u16 u16 u16 u16 u16 u16 u16 u16)) (field "scope-id" u32)))
(export "ipv6-socket-address" (type $v6 (eq $v6')))
(type $address' (variant (case "ipv4" $v4) (case "ipv6" $v6)))
(export "ip-socket-address" (type $address (eq $address')))
"""


def opens(protocol: str, method: str, address: str) -> str:
    """
    A component whose function ``try`` makes a socket, then calls a method of it that takes an
    address, which is 127.0.0.1 and the function's argument as the port. It returns 255, or the
    number of the error.

    Args:
        protocol: ``tcp`` or ``udp``.
        method: ``start-bind`` or ``start-connect``.
        address: The name of the method's parameter for the address.
    """
    return f"""
    (component
      (import "wasi:sockets/network@0.2.0" (instance $net
        (export "network" (type (sub resource))) {TYPES}))
      (alias export $net "network" (type $network))
      (alias export $net "error-code" (type $error-code))
      (alias export $net "ip-address-family" (type $family))
      (alias export $net "ip-socket-address" (type $address))
      (import "wasi:sockets/instance-network@0.2.0" (instance $here
        (export "network" (type $n (eq $network)))
        (export "instance-network" (func (result (own $n))))))
      (import "wasi:sockets/{protocol}@0.2.0" (instance $protocol
        (export "network" (type $n (eq $network)))
        (export "error-code" (type $e (eq $error-code)))
        (export "ip-socket-address" (type $a (eq $address)))
        (export "{protocol}-socket" (type $s (sub resource)))
        (export "[method]{protocol}-socket.{method}" (func (param "self" (borrow $s))
          (param "network" (borrow $n)) (param "{address}" $a) (result (result (error $e)))))))
      (alias export $protocol "{protocol}-socket" (type $socket))
      (import "wasi:sockets/{protocol}-create-socket@0.2.0" (instance $make
        (export "error-code" (type $e (eq $error-code)))
        (export "ip-address-family" (type $f (eq $family)))
        (export "{protocol}-socket" (type $s (eq $socket)))
        (export "create-{protocol}-socket" (func (param "address-family" $f)
          (result (result (own $s) (error $e)))))))
      (core module $memory (memory (export "memory") 1))
      (core instance $memory (instantiate $memory))
      (alias core export $memory "memory" (core memory $m))
      (core func $network (canon lower (func $here "instance-network")))
      (core func $create
        (canon lower (func $make "create-{protocol}-socket") (memory $m)))
      (core func $use
        (canon lower (func $protocol "[method]{protocol}-socket.{method}") (memory $m)))
      (core module $main
        (import "" "memory" (memory 1))
        (import "" "network" (func $network (result i32)))
        (import "" "create" (func $create (param i32 i32)))
        (import "" "use" (func $use (param {"i32 " * 15})))
        (func (export "try") (param $port i32) (result i32)
          (call $create (i32.const 0) (i32.const 0))
          (if (i32.load8_u (i32.const 0)) (then (return (i32.load8_u (i32.const 4)))))
          (call $use (i32.load (i32.const 4)) (call $network)
            (i32.const 0) (local.get $port)
            (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
            {"(i32.const 0)" * 6} (i32.const 8))
          (if (result i32) (i32.load8_u (i32.const 8))
            (then (i32.load8_u (i32.const 9))) (else (i32.const 255)))))
      (core instance $i (instantiate $main (with "" (instance
        (export "memory" (memory $m)) (export "network" (func $network))
        (export "create" (func $create)) (export "use" (func $use))))))
      (func (export "try") (param "port" u16) (result u8) (canon lift (core func $i "try"))))
    """


#: A component that imports what it takes to send a request.
CLIENT = """
(component
  (import "wasi:http/types@0.2.0" (instance (export "fields" (type (sub resource)))))
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))
"""

SOCKETS = {
    "tcp bind": ("tcp", "start-bind", "local-address"),
    "tcp connect": ("tcp", "start-connect", "remote-address"),
    "udp bind": ("udp", "start-bind", "local-address"),
}


@pytest.mark.parametrize("network", [False, True], ids=["closed", "inherited"])
@pytest.mark.parametrize("arguments", SOCKETS.values(), ids=SOCKETS)
def test_the_library_refuses_every_socket(
    engine: Engine, network: bool, arguments: tuple[str, str, str]
) -> None:
    """
    Whatever the configuration says. When a version of the library comes that behaves otherwise,
    what `WasiConfig.inherit_network`, ``run --network`` and the documents say of it changes.
    """
    component = Component(engine, opens(*arguments))
    linker = Linker(engine)
    linker.add_wasip2()
    store = Store(engine)
    wasi = WasiConfig()
    if network:
        wasi.inherit_network()
        wasi.allow_ip_name_lookup()
    store.set_wasi(wasi)
    result = linker.instantiate(store, component).exports(store)["try"](store, 9)
    assert (result, ERRORS[result]) == (1, "access-denied")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run the command line.
    """
    return subprocess.run(
        [sys.executable, "-m", "wasmtime", "run", "--no-cache", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_command_line_says_that_the_switch_does_nothing(tmp_path: Path) -> None:
    program = tmp_path / "sockets.wat"
    program.write_text(opens(*SOCKETS["tcp connect"]))
    for options, warned in ([], False), (["--network"], True):
        done = run(*options, "--invoke", "try", str(program), "9")
        assert (done.returncode, done.stdout) == (0, "1\n")
        warning = "warning: this version of the library refuses every socket"
        assert (warning in done.stderr) is warned


class TestHttp:
    """
    HTTP reaches every server, so that nothing but its own permission gives it.
    """

    @pytest.fixture
    def client(self, engine: Engine) -> Component:
        return Component(engine, CLIENT)

    @pytest.fixture
    def linker(self, engine: Engine) -> Linker:
        linker = Linker(engine)
        linker.add_wasip2()
        linker.add_wasi_http()
        return linker

    def test_no_other_permission_gives_it(self, store: Store) -> None:
        wasi = WasiConfig()
        wasi.inherit_network()
        wasi.allow_ip_name_lookup()
        store.set_wasi(wasi)
        with pytest.raises(WasmtimeError, match=r"wasi\.allow_http\(\)"):
            store.set_wasi_http()

    def test_its_own_does(self, store: Store, linker: Linker, client: Component) -> None:
        wasi = WasiConfig()
        wasi.allow_http()
        store.set_wasi(wasi)
        store.set_wasi_http()
        linker.instantiate(store, client).exports(store)["f"](store)

    def test_it_is_for_who_asks(self, store: Store, linker: Linker, client: Component) -> None:
        wasi = WasiConfig()
        wasi.allow_http()
        store.set_wasi(wasi)
        with pytest.raises(WasmtimeError, match=r"allow_http.*set_wasi_http"):
            linker.instantiate(store, client)

    def test_another_configuration_takes_it_away(
        self, store: Store, linker: Linker, client: Component
    ) -> None:
        wasi = WasiConfig()
        wasi.allow_http()
        store.set_wasi(wasi)
        store.set_wasi_http()
        store.set_wasi(WasiConfig())
        with pytest.raises(WasmtimeError, match=r"wasi\.allow_http\(\)"):
            store.set_wasi_http()
        with pytest.raises(WasmtimeError, match="wasi:http is not configured"):
            linker.instantiate(store, client)

    def test_what_is_changed_later_is_for_later_stores(self, store: Store) -> None:
        wasi = WasiConfig()
        wasi.allow_http()
        wasi.allow_http(False)
        store.set_wasi(wasi)
        wasi.allow_http(True)
        with pytest.raises(WasmtimeError, match="not allowed"):
            store.set_wasi_http()
        with pytest.raises(TypeError, match="enable"):
            wasi.allow_http(1)  # type: ignore[arg-type]

    def test_the_command_line_has_an_option_for_it(self, tmp_path: Path) -> None:
        program = tmp_path / "client.wat"
        program.write_text(CLIENT)
        for options in ([], ["--network"]):
            done = run(*options, "--invoke", "f", str(program))
            assert done.returncode == 1
            assert "--http" in done.stderr
        assert run("--http", "--invoke", "f", str(program)).returncode == 0
