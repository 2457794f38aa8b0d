"""Pools: so many guests at a time, the others in a queue, and instances that wait for their run.

- `pool` is `Pool`; `queueing` its queue.
- `supply` is where its guests come from; `ahead` has the instances that were made for them.
- `targets` knows how a program, a plug-in or an interpreter takes an input; maps ask it, too.

A pool owns its threads, its worker processes and what waits.
"""
