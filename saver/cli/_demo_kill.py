"""The part of the demo where a process dies and another one takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import ToolMessage

from saver import RedisSaver
from saver.cli._demo_agent import WEATHER, weather_agent
from saver.cli._demo_report import DemoError
from saver.cli._demo_worker import QUESTION, SLOW_CITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.runnables import RunnableConfig

    from saver.cli._demo_report import Demo, Report

_PATIENCE = 60.0
"""Seconds to wait for a worker; a slow machine takes a few to import LangChain."""
_DONE = f"get_weather {next(city for city in WEATHER if city != SLOW_CITY)}"
_CUT_OFF = f"get_weather {SLOW_CITY}"

Runs = Counter[tuple[int, str]]
"""How often which process ran what."""


def kill_and_resume(demo: Demo) -> None:
    """Kills a process in the middle of a superstep, resumes in another, counts what ran."""
    report, config = demo.report, demo.thread("killed")
    report.part(
        "2. Kill the process, resume in another",
        f'A worker process asks "{QUESTION}".\n'
        "The two tool calls run at once, as tasks of one superstep. When one has finished\n"
        "and the other one hangs, the worker is killed. Another worker resumes.",
    )
    with tempfile.TemporaryDirectory(prefix="saver-demo-") as folder:
        log = Path(folder, "log")
        killed, code = _run_until_killed(demo, config, log)
        report.claim(f"process {killed} died of SIGKILL", holds=code == -signal.SIGKILL)
        _claim_kept(demo, config)
        resumed = _run_to_the_end(demo, config, log)
        runs = _read(log)
    _show_runs(report, runs, killed, resumed)
    _claim_once(report, runs, killed, resumed)
    _claim_whole(demo, config)


def _run_until_killed(demo: Demo, config: RunnableConfig, log: Path) -> tuple[int, int]:
    with demo.report.busy("a worker asks"), _worker("ask", demo.url, config, log) as worker:
        with RedisSaver.from_conn_string(demo.url) as saver:
            deadline = time.monotonic() + _PATIENCE
            while not (_kept(saver, config) and _read(log)[worker.pid, _CUT_OFF]):
                _expect_alive(worker, deadline)
                time.sleep(0.02)
        worker.kill()
        return worker.pid, worker.wait()


def _run_to_the_end(demo: Demo, config: RunnableConfig, log: Path) -> int:
    with demo.report.busy("another one resumes"), _worker("resume", demo.url, config, log) as it:
        try:
            code = it.wait(_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"worker {it.pid} does not finish") from error
    if code:
        raise DemoError(f"worker {it.pid} ended with {code}")
    return it.pid


@contextmanager
def _worker(
    task: str, url: str, config: RunnableConfig, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that does not outlive the block."""
    words = ["-m", "saver.cli._demo_worker", task, config["configurable"]["thread_id"], str(log)]
    # The URL may hold a password: arguments are seen by every user of the machine, this is not.
    env = {**os.environ, "SAVER_DEMO_URL": url}
    with subprocess.Popen([sys.executable, *words], env=env) as process:  # noqa: S603 - our own
        try:
            yield process
        finally:
            process.kill()


def _expect_alive(worker: subprocess.Popen[bytes], deadline: float) -> None:
    if worker.poll() is not None:
        raise DemoError(f"worker {worker.pid} ended with {worker.returncode} before it was killed")
    if time.monotonic() > deadline:
        raise DemoError(f"worker {worker.pid} did not come far in {_PATIENCE:.0f} seconds")


def _kept(saver: RedisSaver, config: RunnableConfig) -> list[str]:
    """What the tool tasks of the latest checkpoint answered."""
    found = saver.get_tuple(config)
    writes: list[Any] = [value for _, _, value in (found and found.pending_writes) or []]
    values = [item for write in writes for item in (write if isinstance(write, list) else [write])]
    return [item.text for item in values if isinstance(item, ToolMessage)]


def _claim_kept(demo: Demo, config: RunnableConfig) -> None:
    with RedisSaver.from_conn_string(demo.url) as saver:
        kept = _kept(saver, config)
        tasks = weather_agent(saver).get_state(config).tasks
    told = WEATHER[_DONE.split()[1]]
    demo.report.claim(f'the server kept the finished task: "{told}"', holds=kept == [told])
    finished = [task.result is not None for task in tasks]
    demo.report.claim("and knows the other one as unfinished", holds=finished == [True, False])


def _claim_whole(demo: Demo, config: RunnableConfig) -> None:
    with RedisSaver.from_conn_string(demo.url) as saver:
        state = weather_agent(saver).get_state(config)
    answer = state.values["messages"][-1].text
    whole = not state.next and all(weather in answer for weather in WEATHER.values())
    demo.report.claim(f'the answer is whole: "{answer}"', holds=whole)


def _read(log: Path) -> Runs:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    words = [line.split(" ", 1) for line in lines]
    return Counter((int(pid), what) for pid, what in words)


def _show_runs(report: Report, runs: Runs, killed: int, resumed: int) -> None:
    names = ["model", _DONE, _CUT_OFF]
    report.table(
        ["ran how often", f"process {killed}, killed", f"process {resumed}, resumed"],
        [[name, runs[killed, name], runs[resumed, name]] for name in names],
    )


def _claim_once(report: Report, runs: Runs, killed: int, resumed: int) -> None:
    report.claim(
        f"{_DONE} did not run twice; {_CUT_OFF} did, for it had not finished",
        holds=(runs[killed, _DONE], runs[resumed, _DONE]) == (1, 0)
        and (runs[killed, _CUT_OFF], runs[resumed, _CUT_OFF]) == (1, 1),
    )
    report.claim(
        "the model's first answer was not asked for again: each process made one call",
        holds=(runs[killed, "model"], runs[resumed, "model"]) == (1, 1),
    )
