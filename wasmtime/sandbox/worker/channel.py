"""Messages between parent and worker: JSON and blobs, with bounded lengths.

A message is a header (length of the JSON, number of blobs), the length of each blob, the JSON, and
the blobs. What a worker sends is refused before it is read if it is longer than may be.
"""

from __future__ import annotations

import json
import os
import select
import struct
from collections.abc import Sequence
from time import monotonic
from typing import Any, Optional

__all__ = ["Channel", "ChannelClosed", "Expired", "Malformed", "Message"]

_HEADER, _LENGTH = struct.Struct(">IB"), struct.Struct(">Q")
_MOST_BLOBS = 8
_CHUNK = 1 << 16
_encode = json.JSONEncoder(separators=(",", ":")).encode
#: Deadlines are heard by polling the descriptor; Windows has no poll, and a timer kills the worker.
HAS_POLL = hasattr(select, "poll")

#: A message: what it says, and what it carries.
Message = tuple[dict[str, Any], list[bytes]]


class ChannelClosed(Exception):
    """The other side is gone."""


class Expired(Exception):
    """The other side has not answered in time."""


class Malformed(Exception):
    """The other side sent what is no message, or more than may be."""


def _lengths(packed: bytes) -> list[int]:
    return [length for (length,) in _LENGTH.iter_unpack(packed)]


class Channel:
    """One end of a connection.

    Args:
        reader: Descriptor to read from.
        writer: Descriptor to write to, which may be the same.
        is_patient: Whether to wait for ever; the parent never does where it can poll.
    """

    def __init__(self, reader: int, writer: int, is_patient: bool = False) -> None:
        self._reader, self._writer = reader, writer
        self._polls = HAS_POLL and not is_patient
        self._buffer = bytearray()
        if self._polls:
            os.set_blocking(reader, False)
            os.set_blocking(writer, False)

    def fileno(self) -> int:
        """The descriptor that messages come from."""
        return self._reader

    def send(
        self, message: dict[str, Any], blobs: Sequence[Any] = (), deadline: Optional[float] = None
    ) -> None:
        """Send a message.

        Args:
            message: What JSON has a form for.
            blobs: Bytes.
            deadline: The time, as `monotonic` tells it, at which to give up.

        Raises:
            ChannelClosed: The other side is gone.
            Expired: It does not read.
        """
        text = _encode(message).encode()
        head = _HEADER.pack(len(text), len(blobs))
        data = b"".join((head, *(_LENGTH.pack(len(blob)) for blob in blobs), text, *blobs))
        left = memoryview(data)
        try:
            while left:
                try:
                    left = left[os.write(self._writer, left) :]
                except BlockingIOError:
                    self._wait(self._writer, select.POLLOUT, deadline)
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def receive(self, most: int, deadline: Optional[float] = None) -> Message:
        """Wait for a message.

        Args:
            most: How many bytes it may have.
            deadline: The time at which to give up.

        Raises:
            ChannelClosed: The other side is gone.
            Expired: Nothing has come.
            Malformed: What came is no message, or too long.
        """
        text_length, blob_count = _HEADER.unpack(self._take(_HEADER.size, deadline))
        if blob_count > _MOST_BLOBS:
            raise Malformed(f"a message with {blob_count} blobs")
        lengths = [text_length, *_lengths(self._take(_LENGTH.size * blob_count, deadline))]
        if sum(lengths) > most:
            raise Malformed(f"a message of {sum(lengths)} bytes")
        text, *blobs = [self._take(length, deadline) for length in lengths]
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"a message that is no JSON: {type(error).__name__}") from None
        if not isinstance(message, dict):
            raise Malformed("a message that is no object")
        return message, blobs

    def _take(self, size: int, deadline: Optional[float]) -> bytes:
        if not size:
            return b""
        buffer = self._buffer
        if self._polls and not buffer:  # it will have to be waited for
            self._wait(self._reader, select.POLLIN, deadline)
        while len(buffer) < size:
            try:
                chunk = os.read(self._reader, max(_CHUNK, min(size - len(buffer), 1 << 20)))
            except BlockingIOError:
                self._wait(self._reader, select.POLLIN, deadline)
                continue
            except OSError as error:
                raise ChannelClosed(str(error)) from None
            if not chunk:
                raise ChannelClosed("the other side is gone")
            buffer += chunk
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    def _wait(self, descriptor: int, event: int, deadline: Optional[float]) -> None:
        timeout = None
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                raise Expired
            timeout = left * 1000
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(timeout):
            raise Expired

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in {self._reader, self._writer}:
            try:
                os.close(descriptor)
            except OSError:
                pass
