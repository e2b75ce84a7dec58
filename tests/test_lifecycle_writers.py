"""Processes write, trim, copy, delete and expire at once, and some are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.invariants import problems
from tests.lifecycle_worker import COPIES, ROLES, STEPS, VICTIMS, chain_of, root_of
from tests.samples import config

if TYPE_CHECKING:
    from redis import Redis

    from saver import RedisSaver
    from tests.servers import Server

SURVIVORS = ["plain", "keeping", "own"]


def run_all(url: str, seed: int) -> dict[str, int]:
    """Runs every role, kills some of them at random steps; the exit codes."""
    chance = random.Random(seed)
    kill_at = {role: chance.randrange(STEPS // 2) for role in ROLES if "killed" in role}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lifecycle_worker", url, str(seed)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    pids, codes = {}, {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            role, _, what = line.strip().rpartition(" ")
            if role.endswith("has pid"):
                pids[role.removesuffix(" has pid")] = int(what)
            elif line.startswith("codes "):
                codes = json.loads(line.removeprefix("codes "))
            elif int(what) == kill_at.get(role):
                os.kill(pids[role], signal.SIGKILL)
        errors = process.communicate()[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert codes == {role: -9 if "killed" in role else 0 for role in ROLES}, errors
    return codes


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once(server: Server, redis: Redis, saver: RedisSaver, seed: int) -> None:
    """Nothing contradicts; surviving writers' latest are whole; what is deleted leaves no key."""
    run_all(server.url, seed)
    assert problems(redis) == []
    for _ in range(2):
        for role in SURVIVORS:
            chain_of(role, redis).check(STEPS - 1)
        root_of(redis).check(STEPS // 4 - 1)
        saver.prune(["shared", "own"])
        assert problems(redis) == []
    namespaces = {
        each.config["configurable"]["checkpoint_ns"] for each in saver.list(config("shared", None))
    }
    calls = {each for each in namespaces if ":" in each}
    needed = range((STEPS // 4 - 1) // 7 * 7, STEPS // 4)
    assert calls <= {f"node:{step}" for step in needed}, "calls of removed root checkpoints"
    assert_all_deleted(redis, saver)


def assert_all_deleted(redis: Redis, saver: RedisSaver) -> None:
    """Deletes every thread; what killed processes staged expires, and is swept by others."""
    deadline = time.monotonic() + 30
    while left := redis.keys("saver:*"):
        assert time.monotonic() < deadline, left
        for thread in ["shared", "own", *COPIES, *VICTIMS]:
            saver.delete_thread(thread)
        assert problems(redis) == []
