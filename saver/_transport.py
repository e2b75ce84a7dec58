"""Runs plans, and sends their calls to the server through a sync client.

EVALSHA first; a server that does not know the script answers NOSCRIPT without having run anything,
and is sent EVAL of the same source.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from saver._requests import InOrder, Page
from saver.errors import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from redis import Redis

    from saver._plans import Plan
    from saver._requests import Request

T = TypeVar("T")


def run(send: Callable[[Any], Any], plan: Plan[T]) -> T:
    """Runs a plan to its result; `send` sends what it yields and returns the reply."""
    reply = None
    while True:
        try:
            request = plan.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        reply = send(request)


async def arun(send: Callable[[Any], Awaitable[Any]], plan: Plan[T]) -> T:
    """`run` with an awaitable `send`."""
    reply = None
    while True:
        try:
            request = plan.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        reply = await send(request)


def stream(send: Callable[[Any], Any], plan: Plan[None]) -> Iterator[Page]:
    """Runs a plan that yields pages between its calls; stops where the caller stops."""
    reply = None
    while True:
        try:
            request = plan.send(reply)
        except StopIteration:
            return
        reply = None
        if isinstance(request, Page):
            yield request
        else:
            reply = send(request)


async def astream(send: Callable[[Any], Awaitable[Any]], plan: Plan[None]) -> AsyncIterator[Page]:
    """`stream` with an awaitable `send`."""
    reply = None
    while True:
        try:
            request = plan.send(reply)
        except StopIteration:
            return
        reply = None
        if isinstance(request, Page):
            yield request
        else:
            reply = await send(request)


class SyncTransport:
    """Sends calls through a sync client, from any thread."""

    def __init__(self, client: Redis) -> None:
        self.client = client

    def run(self, plan: Plan[T]) -> T:
        """Runs a plan to its result."""
        return run(self._send, plan)

    async def arun(self, plan: Plan[T]) -> T:
        """Runs a plan in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.run, plan)

    def stream(self, plan: Plan[None]) -> Iterator[Page]:
        """Runs a plan page by page."""
        return stream(self._send, plan)

    async def astream(self, plan: Plan[None]) -> AsyncIterator[Page]:
        """Runs a plan page by page, each in a thread."""
        found = self.stream(plan)
        while page := await asyncio.to_thread(next, found, None):
            yield page

    def _send(self, request: Any) -> Any:
        if isinstance(request, tuple):
            return self._send_all(request)
        if isinstance(request, InOrder):
            return self._send_all(request.calls)
        try:
            return self._execute(request)
        except NoScriptError:
            return self._execute(request.with_source())

    def _execute(self, request: Request) -> Any:
        try:
            return self.client.execute_command(*request.command(), **request.options)
        except ResponseError as error:
            raise translated(error)  # noqa: B904 - it carries its cause

    def _send_all(self, requests: Sequence[Request]) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for request in requests:
            pipeline.execute_command(*request.command(), **request.options)
        replies = pipeline.execute(raise_on_error=False)
        return [
            self._send(request.with_source())
            if isinstance(reply, NoScriptError)
            else _raised(reply)
            for request, reply in zip(requests, replies, strict=True)
        ]


def _raised(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise translated(reply)
    return reply
