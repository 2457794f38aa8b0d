"""A profile as a flame graph: one HTML file that needs nothing else.

Each box is a function; the boxes on top of it are what it called, and its width is the share of
samples in which it was running. The names come from the guest, so they are escaped.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

from .._printable import printable

__all__ = ["flame_graph"]

#: Boxes that hold a smaller share than this are left out: they would be narrower than a pixel.
_LEAST_SHARE = 0.0005

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; }}
#graph {{ position: relative; height: {height}px; overflow: hidden; }}
#graph button {{
  position: absolute; height: 19px; box-sizing: border-box; padding: 0 4px; border: 0;
  border-radius: 2px; outline: 1px solid Canvas; color: #111; text-align: left; cursor: pointer;
  font: 12px/19px ui-monospace, monospace; white-space: nowrap; overflow: hidden;
}}
#graph button:focus-visible {{ outline: 2px solid #06c; z-index: 1; }}
#told {{ min-height: 1.5em; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
<p>{samples} samples. Choose a box to widen it, and the lowest one to see all again.</p>
<div id="graph">
{boxes}
</div>
<p id="told" role="status"></p>
<script>
const graph = document.getElementById("graph"), told = document.getElementById("told");
const boxes = [...graph.children].map(box => ({{box, at: +box.dataset.at, share: +box.dataset.share,
                                               level: +box.dataset.level}}));
function show(chosen) {{
  for (const one of boxes) {{
    const from = (one.at - chosen.at) / chosen.share, width = one.share / chosen.share;
    const around = one.at <= chosen.at && one.at + one.share >= chosen.at + chosen.share;
    const visible = around || (from > -1e-9 && from + width < 1 + 1e-9 && one.level > chosen.level);
    one.box.hidden = !visible;
    one.box.style.left = (one.level < chosen.level ? 0 : from * 100) + "%";
    one.box.style.width = (one.level < chosen.level ? 1 : width) * 100 + "%";
  }}
}}
for (const one of boxes) {{
  one.box.addEventListener("click", () => show(one));
  for (const event of ["mouseenter", "focus"])
    one.box.addEventListener(event, () => told.textContent = one.box.title);
}}
</script>
</html>
"""


class _Node:
    """A function as it was called from certain others."""

    __slots__ = ("called", "count", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.called: dict[str, _Node] = {}


def flame_graph(profile: bytes, title: str) -> str:
    """Draw a profile that `GuestProfiler.finish` returned.

    Args:
        profile: The profile, as JSON.
        title: What the page is called.

    Returns:
        An HTML page.
    """
    root = _tree(json.loads(profile)["threads"][0])
    levels, boxes = 0, []
    for level, start, node in _each(root):
        levels = max(levels, level + 1)
        boxes.append(_box(level, start, node, root.count))
    return _PAGE.format(
        title=html.escape(title), samples=root.count, height=20 * levels, boxes="\n".join(boxes)
    )


def _tree(thread: dict[str, Any]) -> _Node:
    """Count how often each chain of calls was seen."""
    stacks, frames, functions = thread["stackTable"], thread["frameTable"], thread["funcTable"]
    root = _Node("all")
    for stack in thread["samples"]["stack"]:
        names = []
        while stack is not None:
            function = frames["func"][stacks["frame"][stack]]
            names.append(thread["stringArray"][functions["name"][function]])
            stack = stacks["prefix"][stack]
        node = root
        node.count += 1
        for name in reversed(names):
            node = node.called.setdefault(name, _Node(name))
            node.count += 1
    return root


def _each(root: _Node) -> Iterator[tuple[int, int, _Node]]:
    """Yield the level of each node, where it starts, in samples, and the node."""
    least = root.count * _LEAST_SHARE
    waiting = [(0, 0, root)]
    while waiting:
        level, start, node = waiting.pop()
        yield level, start, node
        for called in sorted(node.called.values(), key=lambda one: -one.count):
            if called.count >= least:
                waiting.append((level + 1, start, called))
            start += called.count


def _box(level: int, start: int, node: _Node, total: int) -> str:
    at, share = start / max(total, 1), node.count / max(total, 1)
    name = html.escape(printable(node.name, layout=""))
    hue = 20 + sum(map(ord, node.name)) % 40
    return (
        f'<button title="{name}: {node.count} samples, {share:.1%}" data-at="{at:.6f}" '
        f'data-share="{share:.6f}" data-level="{level}" style="left:{at:.4%};width:{share:.4%};'
        f'bottom:{20 * level}px;background:hsl({hue} 85% 70%)">{name}</button>'
    )
