"""A web service that runs other people's code: a guest for each request, all in one thread.

It is an ASGI application. With Starlette and uvicorn installed, start it and try it with

    uvicorn --app-dir examples asgi_application:app
    curl -T guest.wasm http://127.0.0.1:8000/guests/greeter
    curl -d Ada http://127.0.0.1:8000/guests/greeter

A guest is a component, in binary or text form, of this world::

    world guest {
        import lookup: func(key: string) -> option<string>;
        export handle: func(request: string) -> string;
    }

``lookup`` is a coroutine function: while a guest waits for its answer, the server does other work.
Each request has a store of its own, with limits. A guest that computes for ever is cancelled when
its time is over, also in the middle of a tight loop, and other requests are answered meanwhile; one
that wants too much memory does not get it; one that traps fails its own request and nothing else.

What a guest costs before it runs, its compilation, happens in another thread when it is installed.
"""

from __future__ import annotations

import asyncio
import os
from contextvars import ContextVar
from functools import cached_property
from typing import Optional

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from wasmtime import Config, Engine, Store, Trap, WasmtimeError
from wasmtime.component import Component, Linker

#: How long a guest may take for a request, its waiting included, in seconds.
TIMEOUT = float(os.environ.get("GUEST_TIMEOUT", "0.5"))
#: How much memory it may have, in bytes.
MEMORY = 16 << 20
#: How many may run at once: with MEMORY, a bound for what all of them take together. Other requests
#: wait, up to so many.
GUESTS, WAITING = 50, 1000
#: The largest component that can be installed, in bytes, and how many can be.
SIZE, INSTALLED = 1 << 20, 100

#: What `lookup` finds; a real service would ask a database.
FACTS = {"Ada": "Countess of Lovelace", "Grace": "Rear admiral"}

#: Of the request that is being answered: what a host function sees is its own request's.
lookups: ContextVar[list[str]] = ContextVar("lookups")


async def lookup(key: str) -> Optional[str]:
    """What guests import: it waits, and the event loop runs others meanwhile."""
    lookups.get().append(key)
    await asyncio.sleep(0.01)
    return FACTS.get(key)


class Guest:
    """A component that is installed: its code, and what it may reach."""

    def __init__(self, engine: Engine, source: bytes) -> None:
        """Compile it, which may take long."""
        self.component = Component(engine, source)
        self.linker = Linker(engine)
        self.linker.define_imports(
            self.component, {name: lookup for name in self.component.imports if name == "lookup"}
        )
        missing = self.linker.missing(self.component)
        if missing:
            raise WasmtimeError(f"a guest cannot import {', '.join(sorted(missing))}")
        if "handle" not in self.component.exports:
            raise WasmtimeError("a guest exports handle: func(request: string) -> string")

    async def handle(self, request: str) -> str:
        """Answer a request, in a store of its own."""
        store = Store(self.component.engine)
        store.set_limits(memory_size=MEMORY, memories=4, tables=8, table_elements=10_000)
        instance = await self.linker.instantiate_async(store, self.component)
        answer = await instance.exports(store)["handle"].call_async(store, request)
        return str(answer)


class Service:
    """The application's handlers, and the guests that are installed."""

    def __init__(self) -> None:
        """Begin with no guests."""
        config = Config()
        config.concurrency_support = False  # calls are faster without, and no guest needs it
        self.engine = Engine(config)
        self.guests: dict[str, Guest] = {}
        self.requests = 0

    @cached_property
    def places(self) -> asyncio.Semaphore:
        """Limits how many guests run at once; made in the event loop that they run in."""
        return asyncio.Semaphore(GUESTS)

    async def install(self, request: Request) -> Response:
        """Install the component that is the request's body."""
        source = bytearray()
        async for chunk in request.stream():
            source += chunk
            if len(source) > SIZE:
                return PlainTextResponse(f"larger than {SIZE} bytes\n", 413)
        name = request.path_params["name"]
        if len(self.guests) >= INSTALLED and name not in self.guests:
            return PlainTextResponse("too many guests are installed\n", 507)
        loop = asyncio.get_running_loop()
        try:
            guest = await loop.run_in_executor(None, Guest, self.engine, bytes(source))
        except (WasmtimeError, TypeError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        self.guests[name] = guest
        return Response(status_code=204)

    async def run(self, request: Request) -> Response:
        """Let a guest answer the text that is the request's body."""
        guest = self.guests.get(request.path_params["name"])
        if guest is None:
            return PlainTextResponse("no such guest\n", 404)
        if self.requests >= GUESTS + WAITING:
            return PlainTextResponse("busy\n", 503, {"Retry-After": "1"})
        text = (await request.body()).decode("utf-8", "replace")
        asked: list[str] = []
        lookups.set(asked)
        self.requests += 1
        try:
            async with self.places:
                answer = await asyncio.wait_for(guest.handle(text), TIMEOUT)
        except asyncio.TimeoutError:
            return PlainTextResponse(f"the guest took longer than {TIMEOUT} s\n", 504)
        except (Trap, WasmtimeError) as error:
            return PlainTextResponse(f"the guest failed: {type(error).__name__}\n", 502)
        finally:
            self.requests -= 1
        return PlainTextResponse(answer, headers={"X-Lookups": str(len(asked))})


service = Service()
app = Starlette(
    routes=[
        Route("/guests/{name}", service.install, methods=["PUT"]),
        Route("/guests/{name}", service.run, methods=["POST"]),
    ]
)
