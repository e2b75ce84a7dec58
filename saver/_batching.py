"""Sends the calls of a plan through an async client, many callers' calls in one pipeline."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redis.exceptions import NoScriptError, ResponseError

from saver._requests import InOrder
from saver._transport import arun, astream
from saver.errors import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from types import GeneratorType

    from redis.asyncio import Redis

    from saver._plans import Plan
    from saver._requests import Page, Request

T = TypeVar("T")


@dataclass
class _Waiting:
    """A request on its way, and the caller's future for its reply."""

    request: Request
    reply: asyncio.Future[Any]


class AsyncTransport:
    """Sends what waits in one turn of the event loop as one pipeline.

    Each caller gets its own reply or error, and many concurrent runs share few connections and few
    system calls. A batch is bounded in calls and bytes, and a second one may be under way, so that
    a huge value holds up few others. While calls come one at a time they go out at once.
    """

    MAX_CALLS = 128
    MAX_BYTES = 1 << 20
    MAX_UNDER_WAY = 2

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Task[list[Any]]] = set()
        self._flush_planned = False
        self._quiet = True
        self._loop = _running_loop()

    async def arun(self, plan: Plan[T]) -> T:
        """Runs a plan to its result."""
        return await arun(self._send, plan)

    def astream(self, plan: Plan[None]) -> AsyncIterator[Page]:
        """Runs a plan page by page."""
        return astream(self._send, plan)

    def run(self, plan: Plan[T]) -> T:
        """Runs a plan from another thread than the event loop's."""
        loop = self._loop_of_another_thread("a" + cast("GeneratorType[Any, Any, T]", plan).__name__)
        return asyncio.run_coroutine_threadsafe(self.arun(plan), loop).result()

    def stream(self, plan: Plan[None]) -> Iterator[Page]:
        """Runs a plan page by page from another thread than the event loop's."""
        loop = self._loop_of_another_thread("alist")
        found = self.astream(plan)

        async def next_page() -> Page | None:
            return await anext(found, None)

        fetch = partial(asyncio.run_coroutine_threadsafe, loop=loop)
        return iter(lambda: fetch(next_page()).result(), None)

    def _loop_of_another_thread(self, method: str) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._loop.is_closed():
            msg = (
                "an AsyncRedisSaver answers sync methods only while its event loop runs: "
                f"`await saver.{method}(...)`, or use RedisSaver"
            )
            raise RuntimeError(msg)
        if _running_loop() is self._loop:
            msg = (
                "this sync method would block the event loop that it waits for: "
                f"`await saver.{method}(...)` instead"
            )
            raise RuntimeError(msg)
        return self._loop

    async def _send(self, request: Any) -> Any:
        self._enter(asyncio.get_running_loop())
        if isinstance(request, tuple):
            return await asyncio.gather(*map(self._submit, request))
        if isinstance(request, InOrder):
            return await self._send_in_order(request.calls)
        if self._quiet and not self._under_way and not self._waiting:
            return await self._send_alone(request)
        return await self._submit(request)

    async def _send_alone(self, request: Request) -> Any:
        """Sends a request without the turns of the loop that a batch takes."""
        self._quiet = False
        try:
            reply = await self.client.execute_command(*request.command(), **request.options)
        except NoScriptError:
            return await self._submit(request.with_source())
        except ResponseError as error:
            raise translated(error)  # noqa: B904 - it carries its cause
        else:
            self._quiet = not self._waiting and not self._under_way
            return reply

    async def _send_in_order(self, requests: Sequence[Request]) -> list[Any]:
        """Sends requests apart from the batches, of which one may overtake the other."""
        replies = await self._execute(requests)
        for position, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                rest = [request.with_source() for request in requests[position:]]
                replies[position:] = await self._execute(rest)
                break
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply)
        return replies

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:  # what a loop that ended left behind will never be answered
            self._loop, self._flush_planned, self._quiet = loop, False, True
            self._waiting.clear()
            self._under_way.clear()

    def _submit(self, request: Request) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future())
        self._waiting.append(waiting)
        self._plan_flush(loop)
        return waiting.reply

    def _plan_flush(self, loop: asyncio.AbstractEventLoop) -> None:
        free = len(self._under_way) < self.MAX_UNDER_WAY
        if self._waiting and free and not self._flush_planned:
            self._flush_planned = True
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._flush_planned = False
        batch = self._next_batch()
        self._quiet = len(batch) <= 1
        if batch:
            task = loop.create_task(self._execute([waiting.request for waiting in batch]))
            self._under_way.add(task)
            task.add_done_callback(partial(self._deliver, loop, batch))
        self._plan_flush(loop)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < self.MAX_CALLS and size < self.MAX_BYTES:
            waiting = self._waiting.popleft()
            if not waiting.reply.done():  # else its caller was cancelled
                batch.append(waiting)
                size += waiting.request.size
        return batch

    async def _execute(self, requests: Sequence[Request]) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for request in requests:
            pipeline.execute_command(*request.command(), **request.options)
        return await pipeline.execute(raise_on_error=False)

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[_Waiting],
        task: asyncio.Task[list[Any]],
    ) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            replies: list[Any] = [asyncio.CancelledError()] * len(batch)
        else:
            error = task.exception()
            replies = [error] * len(batch) if error else task.result()
        for waiting, reply in zip(batch, replies, strict=True):
            if waiting.reply.done():  # its caller was cancelled
                continue
            if isinstance(reply, NoScriptError):
                self._waiting.append(_Waiting(waiting.request.with_source(), waiting.reply))
            elif isinstance(reply, asyncio.CancelledError):
                waiting.reply.cancel()
            elif isinstance(reply, BaseException):
                waiting.reply.set_exception(translated(reply))
            else:
                waiting.reply.set_result(reply)
        self._plan_flush(loop)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
