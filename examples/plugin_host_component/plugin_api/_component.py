"""
How values pass between this package and the component.
"""

from wasmtime.bindgen import support

from .exports import filter
from .imports import console
from .types import Err, Ok

_console_level = support.enum(
    ("info", console.Level.INFO),
    ("warning", console.Level.WARNING),
)
_filter_description = support.record(
    filter.Description,
    ("name", "name", support.PLAIN),
    ("languages", "languages", support.PLAIN),
)
_filter_problem = support.variant(
    ("empty", filter.ProblemEmpty),
    ("unknown-language", filter.ProblemUnknownLanguage, support.PLAIN),
)

COMPONENT = support.EmbeddedComponent(
    __package__,
    "plugin.component.wasm",
    imports=[
        support.interface(
            "example:plugins/console@1.0.0",
            "console",
            {
                "log": support.function(
                    "log",
                    [_console_level, support.PLAIN],
                    support.PLAIN,
                ),
            },
        )
    ],
    exports={
        "example:plugins/filter@1.0.0": {
            "about": support.signature([], _filter_description),
            "apply": support.signature(
                [support.PLAIN, support.option_of(support.PLAIN)],
                support.result_of(support.PLAIN, _filter_problem, Ok, Err),
            ),
            "[constructor]counter": support.signature(
                [],
                support.resource(filter.Counter, own=True),
            ),
            "[method]counter.add": support.signature(
                [support.resource(filter.Counter), support.PLAIN],
                support.PLAIN,
            ),
            "[method]counter.total": support.signature(
                [support.resource(filter.Counter)],
                support.PLAIN,
            ),
        },
    },
)
