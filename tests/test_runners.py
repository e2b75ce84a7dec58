"""The runners that drive plans, and the sync transport over a client that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from saver._requests import Call, Command, Page
from saver._scripts import scripts
from saver._transport import SyncTransport, arun, astream, run, stream
from saver.errors import _BY_CODE, ForeignKeyError, LayoutError, LostKeysError, SaverError

if TYPE_CHECKING:
    from saver._plans import Plan

CALL = Call("threads", (b"layout", b"threads"), (b"-", 5))
SCRIPT = scripts()["threads"]
TAIL = (2, b"layout", b"threads", b"-", 5)
BY_SHA, BY_SOURCE = ("EVALSHA", SCRIPT.sha, *TAIL), ("EVAL", SCRIPT.source, *TAIL)


def echo(*requests: Any) -> Plan[list[Any]]:
    """A plan that returns the replies to its requests."""
    replies = []
    for request in requests:
        reply = yield request
        replies.append(reply)
    return replies


def pages(*requests: Any) -> Plan[None]:
    """The same without a result."""
    yield from (request for request in requests)


class FakeClient:
    """Replies what it is told to, errors included, and notes what it was sent."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.sent: list[Any] = []
        self.options: list[dict[str, Any]] = []
        self.batch: list[Any] = []

    def execute_command(self, *words: Any, **options: Any) -> Any:
        """One command."""
        self.sent.append(words)
        self.options.append(options)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, *, transaction: bool) -> FakePipeline:
        """Commands in one go."""
        assert not transaction
        return FakePipeline(self)


class FakePipeline:
    """Takes commands, replies to all of them at once."""

    def __init__(self, client: FakeClient) -> None:
        self.client = client
        self.commands: list[Any] = []

    def execute_command(self, *words: Any, **options: Any) -> None:
        """Queues one."""
        self.commands.append(words)

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        """As many replies as there are commands."""
        assert not raise_on_error
        self.client.sent.append(self.commands)
        return [self.client.replies.pop(0) for _ in self.commands]


def transport(*replies: Any) -> tuple[SyncTransport, FakeClient]:
    """A transport over a fake client."""
    client = FakeClient(*replies)
    return SyncTransport(client), client  # type: ignore[arg-type]


def test_run() -> None:
    """Each request is sent once, in order; each reply goes back to the plan."""
    sent: list[Any] = []
    assert run(lambda it: sent.append(it) or it * 2, echo(1, 2)) == [2, 4]
    assert sent == [1, 2]


async def test_arun() -> None:
    """The same, awaited."""

    async def send(request: Any) -> Any:
        return request * 2

    assert await arun(send, echo(1, 2)) == [2, 4]


def test_stream_is_lazy() -> None:
    """Nothing is sent before the first page is asked for, or after the consumer stopped."""
    first, second = Page([]), Page([])
    sent: list[Any] = []
    found = stream(sent.append, pages("a", first, "b", second))
    assert sent == []
    assert next(found) is first
    assert sent == ["a"]
    assert next(found) is second
    assert sent == ["a", "b"]
    assert list(found) == []


async def test_astream_is_lazy() -> None:
    """The same, awaited."""
    first, second = Page([]), Page([])
    sent: list[Any] = []

    async def send(request: Any) -> None:
        sent.append(request)

    found = astream(send, pages("a", first, "b", second))
    assert await anext(found) is first
    assert sent == ["a"]
    assert [page async for page in found] == [second]
    assert sent == ["a", "b"]


def test_known_script() -> None:
    """EVALSHA, and the reply is not decoded whatever the client does."""
    it, client = transport([b"a"])
    assert it.run(echo(CALL)) == [[b"a"]]
    assert client.sent == [BY_SHA]
    assert client.options == [{"NEVER_DECODE": True}]


def test_unknown_script() -> None:
    """NOSCRIPT: the source, for this call only."""
    it, client = transport(NoScriptError("NOSCRIPT"), [b"a"], [b"b"])
    assert it.run(echo(CALL, CALL)) == [[b"a"], [b"b"]]
    assert client.sent == [BY_SHA, BY_SOURCE, BY_SHA]


def test_unknown_script_in_a_batch() -> None:
    """Only the call that the server did not know is sent again."""
    it, client = transport([b"a"], NoScriptError("NOSCRIPT"), [b"c"], [b"b"])
    assert it.run(echo((CALL, CALL, CALL))) == [[[b"a"], [b"b"], [b"c"]]]
    assert client.sent == [[BY_SHA, BY_SHA, BY_SHA], BY_SOURCE]


def test_server_that_forgets_at_once() -> None:
    """NOSCRIPT in reply to a source is an error, not a loop."""
    it, client = transport(NoScriptError("NOSCRIPT"), NoScriptError("NOSCRIPT"))
    with pytest.raises(NoScriptError):
        it.run(echo(CALL))
    assert client.sent == [BY_SHA, BY_SOURCE]


def test_errors_have_codes() -> None:
    """Each error that a script can reply has a class of its own."""
    assert set(_BY_CODE.values()) == {LayoutError, ForeignKeyError, LostKeysError}
    assert len(_BY_CODE) == 3


@pytest.mark.parametrize(("code", "error"), _BY_CODE.items())
@pytest.mark.parametrize("batch", [False, True])
def test_errors_of_scripts(code: str, error: type[SaverError], *, batch: bool) -> None:
    """A script's error is ours, without its code and with its cause."""
    raised = ResponseError(f"{code} what to do")
    it, _ = transport(raised)
    with pytest.raises(error, match="what to do") as caught:
        it.run(echo((CALL,) if batch else CALL))
    assert code not in str(caught.value)
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "raised",
    [
        ResponseError("OOM command not allowed"),
        ResponseError("SAVERARGS x"),
        RedisConnectionError(),
    ],
)
@pytest.mark.parametrize("batch", [False, True])
def test_other_errors_pass(raised: Exception, *, batch: bool) -> None:
    """redis-py's errors stay as they are."""
    it, _ = transport(raised)
    with pytest.raises(type(raised)) as caught:
        it.run(echo((CALL,) if batch else CALL))
    assert caught.value is raised


def test_a_plain_command() -> None:
    """Decoded as the client does, and the same when it is sent again."""
    command = Command(("INFO",))
    it, client = transport({"redis_version": "8"})
    assert it.run(echo(command)) == [{"redis_version": "8"}]
    assert (client.sent, client.options) == ([("INFO",)], [{}])
    assert command.with_source() is command


def test_size_of_a_call() -> None:
    """Bytes of the arguments, by which the async transport bounds its batches."""
    assert Call("put", (b"key",), (b"12345", 7, b"123")).size == 8


def test_stream_of_transport() -> None:
    """Pages through a client: NOSCRIPT is answered there, too."""
    it, client = transport(NoScriptError("NOSCRIPT"), [])
    first = Page([])
    assert list(it.stream(pages(CALL, first))) == [first]
    assert client.sent == [BY_SHA, BY_SOURCE]


async def test_sync_transport_for_async_callers() -> None:
    """`arun` and `astream` run the same plans in threads."""
    it, client = transport([b"a"], [])
    assert await it.arun(echo(CALL)) == [[b"a"]]
    first = Page([])
    assert [page async for page in it.astream(pages(CALL, first))] == [first]
    assert client.sent == [BY_SHA, BY_SHA]
