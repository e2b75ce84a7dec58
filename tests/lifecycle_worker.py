"""Processes that write, trim, copy, delete and expire the same threads at once.

Started as `python -m tests.lifecycle_worker URL SEED`: forks one process a role. Each line of
output is a role and a number: "has pid", or a step that is acknowledged; the last one the codes.
"""

from __future__ import annotations

import json
import os
import random
import sys
import traceback
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import Redis

from saver import RedisSaver, _copies
from saver._retention import Retention
from saver.errors import LostKeysError, SaverError, ThreadNotFoundError
from tests.samples import checkpoint, config

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 124
SNAPSHOTS = 7
"""A delta channel is stored whole every so many steps; not in the last one."""
RUN = 8
"""Steps of one run."""
VICTIMS = ["t", "t52", "{1}", "runs:\u00e9"]
"""Threads to which anything may happen; the first two share a shard."""
OPTIONS: list[dict[str, Any]] = [{}, {"keep_last": 1}, {"ttl": 0.005}, {"ttl": 10}]
COPIES = ["copy", "copy of own"]


class Chain:
    """A graph that runs in one namespace, with LangGraph's calls in LangGraph's order."""

    def __init__(
        self, saver: RedisSaver, role: str, thread: str, ns: str, prefix: str = ""
    ) -> None:
        self.saver, self.role, self.thread, self.ns, self.prefix = saver, role, thread, ns, prefix

    def name_of(self, step: int) -> str:
        """The id of a step's checkpoint."""
        return f"{self.prefix}{step:06}"

    def superstep(self, step: int, **metadata: Any) -> None:
        """A checkpoint and a task's writes to it."""
        name = self.name_of(step)
        made: Any = checkpoint(name)
        made["channel_values"] = {"state": f"{self.role} {step}", "fixed": self.role}
        new = {"state": name, "log": name}
        made["channel_versions"] = {**new, "fixed": f"1 {self.role}"}
        if step == 0:
            new["fixed"] = f"1 {self.role}"
        if step % SNAPSHOTS == 0:
            made["channel_values"]["log"] = list(range(step))
        else:
            metadata["counters_since_delta_snapshot"] = {"log": [step % SNAPSHOTS] * 2}
        metadata["run_id"] = f"{self.role} {step // RUN}"
        parent = self.name_of(step - 1) if step else None
        at = self.saver.put(config(self.thread, self.ns, parent), made, metadata, new)  # type: ignore[arg-type]
        self.saver.put_writes(at, [("log", step), ("state", name)], f"task {step}")

    def check(self, step: int, thread: str | None = None, *, written: bool = True) -> None:
        """Fails unless the latest checkpoint is that of a step, or of a later one, and whole."""
        at: Any = config(thread or self.thread, self.ns)
        found = self.saver.get_tuple(at)
        assert found is not None, (self.role, step)
        name = found.checkpoint["id"]
        assert name >= self.name_of(step), (self.role, step)
        step = int(name.removeprefix(self.prefix))
        values = dict(found.checkpoint["channel_values"])
        log = values.pop("log", None)
        assert values == {"state": f"{self.role} {step}", "fixed": self.role}
        expected = [(f"task {step}", "log", step), (f"task {step}", "state", name)]
        assert found.pending_writes in ([expected] if written else [expected, []])
        if step % SNAPSHOTS:
            assert log is None
            history = self.saver.get_delta_channel_history(config=found.config, channels=["log"])
            log = [*history["log"]["seed"], *(each[2] for each in history["log"]["writes"])]
        assert log == list(range(step))


def say(role: str, what: object) -> None:
    """A line to the test; one write, so that lines of several processes do not mix."""
    os.write(1, f"{role} {what}\n".encode())


def chain_of(role: str, client: Redis) -> Chain:
    """The chain that a role writes."""
    options: dict[str, tuple[str, dict[str, Any]]] = {
        "plain": ("shared", {}),
        "keeping": ("shared", {"keep_last": 2}),
        "own": ("own", {"keep_last": 1, "ttl": 600}),
        "killed": ("shared", {}),
    }
    thread, retention = options[role]
    return Chain(RedisSaver(client, **retention), role, thread, role)


def write(role: str, client: Redis) -> None:
    """One graph; every few steps of the first one a node calls a subgraph."""
    chain = chain_of(role, client)
    for step in range(STEPS):
        chain.superstep(step)
        chain.check(step)
        if role == "plain" and step % 4 == 0:
            root = root_of(client)
            root.superstep(step // 4)
            call = Chain(chain.saver, "call", "shared", f"node:{step // 4}")
            for number in range(3):
                call.superstep(number, parents={"": root.name_of(step // 4)})
        say(role, step)
        client.set(f"progress {role}", step)


def root_of(client: Redis) -> Chain:
    """The chain in the root namespace of the shared thread."""
    return Chain(RedisSaver(client), "root", "shared", "")


def maintain(role: str, client: Redis) -> None:
    """Prunes and copies what is written, and deletes runs that ended."""
    saver = RedisSaver(client)
    chains = {each: chain_of(each, client) for each in ("plain", "keeping", "own")}
    for number in range(STEPS // 2):
        steps = {each: int(client.get(f"progress {each}") or 0) for each in chains}
        saver.prune(["own", "shared"], keep_last=number % 3 + 1)
        if number % 8 == 0:
            saver.delete_for_runs(
                [f"{each} {step // RUN - 2}" for each, step in steps.items() if step >= 2 * RUN]
            )
        if number % 8 == 4:
            saver.copy_thread("shared", COPIES[0])
            saver.copy_thread("own", COPIES[1])
            for each, chain in chains.items():
                if steps[each]:
                    chain.check(steps[each], COPIES[each == "own"], written=False)
            saver.prune(COPIES, strategy="delete")
        say(role, number)


def disturb(role: str, client: Redis) -> None:
    """Does anything at all to the victims."""
    chance = random.Random(f"{role} {sys.argv[2]}")
    savers = [RedisSaver(client, **options) for options in OPTIONS]
    for number in range(STEPS * 4):
        with suppress(ThreadNotFoundError):
            disturb_once(chance.choice(savers), chance)
        say(role, number)


def disturb_once(saver: RedisSaver, chance: random.Random) -> None:
    """One operation on one victim."""
    thread, step, writer = chance.choice(VICTIMS), chance.randrange(6), chance.randrange(3)
    ns = chance.choice(["", "", "sub", "node:1"])
    chain = Chain(saver, f"disturb {writer}", thread, ns)
    at: Any = config(thread, ns, chain.name_of(step))
    actions: list[Callable[[], Any]] = [
        lambda: chain.superstep(step),
        lambda: chain.superstep(step, parents={"": f"{chance.randrange(6):06}"}),
        lambda: saver.put_writes(at, [("log", 1)], "late"),
        lambda: list(saver.list(config(thread, None))),
        lambda: saver.get_tuple(config(thread, ns)),
        lambda: history_of(saver, thread, ns),
        lambda: saver.prune(VICTIMS, keep_last=step + 1),
        lambda: saver.expire(thread, chance.choice([0.001, 0.01, 10])),
        lambda: chance.choice([saver.pin, saver.unpin, saver.ttl, saver.delete_thread])(thread),
        lambda: copy(saver, thread, chance.choice(VICTIMS)),
        partial(saver.delete_for_runs, [f"disturb {writer} 0"]),
    ]
    chance.choice(actions)()


def history_of(saver: RedisSaver, thread: str, ns: str) -> None:
    """Reads a history that may be cut."""
    with suppress(LostKeysError):
        saver.get_delta_channel_history(config=config(thread, ns), channels=["log"])


def copy(saver: RedisSaver, source: str, target: str) -> None:
    """Copies to a target that may be taken; the staged copy may expire."""
    with suppress(ValueError, SaverError):
        saver.copy_thread(source, target)


ROLES: dict[str, Callable[[str, Redis], None]] = {
    "plain": write,
    "keeping": write,
    "own": write,
    "killed": write,
    "maintaining": maintain,
    "disturbing": disturb,
    "disturbing, killed": disturb,
}


def main(url: str) -> None:
    """Forks the roles and waits for them."""
    # What a killed process staged is to be gone soon.
    _copies._STAGED = Retention(ttl=2000)
    children = {}
    for role, act in ROLES.items():
        child = os.fork()
        if child == 0:
            code = 1
            try:
                say(role, f"has pid {os.getpid()}")
                with Redis.from_url(url) as client:
                    act(role, client)
                code = 0
            except BaseException:  # noqa: BLE001 - it is reported
                traceback.print_exc()
            os._exit(code)
        children[child] = role
    codes = {}
    while children:
        child, status = os.wait()
        codes[children.pop(child)] = os.waitstatus_to_exitcode(status)
    say("codes", json.dumps(codes))


if __name__ == "__main__":
    main(sys.argv[1])
