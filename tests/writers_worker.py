"""Processes that write at once: what each of them does, and what a reader may see.

Started as `python -m tests.writers_worker ROLE URL NUMBER`; says "ready", begins at a line of
input.
"""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import ERROR, INTERRUPT

from saver import RedisSaver
from tests.samples import config

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph.checkpoint.base import Checkpoint, CheckpointTuple

ROUNDS = 60
READERS = 2
WRITERS = 4
"""Numbers 0 to 3 write, 4 and 5 read meanwhile."""
CHECKPOINTS = 40
"""How many checkpoints each writer puts in each round, out of order."""


def meet(saver: RedisSaver, place: str) -> None:
    """Waits until all processes are here, so that each round is a race."""
    client: Any = saver._transport.client
    if client.incr(f"here {place}") == WRITERS + READERS:
        client.rpush(f"go {place}", *range(WRITERS + READERS))
    assert client.blpop([f"go {place}"], timeout=60)


def thread_of(round_number: int) -> str:
    """The thread that everybody races for in a round."""
    return f"thread {round_number}"


def writes_of(writer: int) -> list[tuple[str, Any]]:
    """Writes that tell who wrote them in each of their parts; of different numbers and sizes."""
    name = str(writer)
    regular = [
        (f"channel {name}", [name, index, name * 200 * index]) for index in range(writer + 2)
    ]
    return [*regular, (INTERRUPT, name), (ERROR, name)]


def check_writes(found: CheckpointTuple | None) -> set[str]:
    """Fails unless each write is whole, of one writer; returns the winners of regular writes."""
    winners = set()
    for _, channel, value in (found and found.pending_writes) or []:
        if channel in {INTERRUPT, ERROR}:
            assert value in {str(writer) for writer in range(WRITERS)}
            continue
        name, index, text = value
        assert channel == f"channel {name}", (channel, value)
        assert text == name * 200 * index
        winners.add(name)
    return winners


def numbered(number: int, writer: int) -> Checkpoint:
    """A checkpoint whose parts all name its writer and its number."""
    text = f"{number:06} by {writer}"
    channels = ("x", "y", "z")
    return {
        "v": 4,
        "id": f"{number:06}",
        "ts": text,
        "channel_values": dict.fromkeys(channels, text),
        "channel_versions": dict.fromkeys(channels, text),
        "versions_seen": {},
        "updated_channels": None,
    }


def check_checkpoint(found: CheckpointTuple) -> str:
    """Fails unless a checkpoint is whole, of one writer; returns its id."""
    text = found.checkpoint["ts"]
    values = dict.fromkeys(("x", "y", "z"), text)
    assert found.checkpoint["id"] == text[:6] == found.config["configurable"]["checkpoint_id"]
    assert found.checkpoint["channel_values"] == found.checkpoint["channel_versions"] == values
    assert (found.metadata or {}).get("by") == text
    return found.checkpoint["id"]


def race_writes(saver: RedisSaver, number: int) -> None:
    """Writers put the writes of one task; readers look on."""
    for round_number in range(ROUNDS):
        at = config(thread_of(round_number), "", "1")
        meet(saver, str(round_number))
        if number < WRITERS:
            saver.put_writes(at, writes_of(number), "task", f"path {number}")
            check_writes(saver.get_tuple(at))
        else:
            winners: set[str] = set()
            for _ in range(20):
                seen = check_writes(saver.get_tuple(at))
                assert winners <= seen, "a write went away again"
                winners = seen


def put_by(saver: RedisSaver, thread_id: str, number: int, writer: int) -> None:
    """Puts one of the numbered checkpoints."""
    made = numbered(number, writer)
    metadata: Any = {"by": made["ts"]}
    saver.put(config(thread_id), made, metadata, made["channel_versions"])


def race_puts(saver: RedisSaver, number: int) -> None:
    """Writers put the same ids, each in an order of its own; readers watch the latest."""
    for round_number in range(ROUNDS // 10):
        thread_id = thread_of(round_number)
        meet(saver, thread_id)
        if number < WRITERS:
            order = list(range(CHECKPOINTS))
            random.Random(f"{number} {round_number}").shuffle(order)
            for each in order:
                put_by(saver, thread_id, each, number)
                found = saver.get_tuple(config(thread_id))
                assert found is not None
                assert check_checkpoint(found) >= f"{each:06}"
        else:
            latest = ""
            for _ in range(100):
                found = saver.get_tuple(config(thread_id))
                if found is not None:
                    seen = check_checkpoint(found)
                    assert seen >= latest, "latest moved backwards"
                    latest = seen
            listed = [check_checkpoint(each) for each in saver.list(config(thread_id))]
            assert listed == sorted(set(listed), reverse=True)


def race_deletion(saver: RedisSaver, number: int) -> None:
    """Writers put and write, one deletes, readers see nothing or a whole."""
    at = config("t", "", "000001")
    for round_number in range(ROUNDS * 3):
        if round_number % 10 == 0:
            meet(saver, str(round_number))
        if number == 0:
            saver.delete_thread("t")
        elif number < WRITERS:
            saver.put_writes(at, writes_of(number), "task", f"path {number}")
            put_by(saver, "t", 1, number)
            put_by(saver, "t", 2, number)
        else:
            for each in (config("t"), at):
                found = saver.get_tuple(each)
                check_writes(found)
                if found is not None:
                    check_checkpoint(found)
            for listed in saver.list(config("t")):
                check_checkpoint(listed)


ROLES: dict[str, Callable[[RedisSaver, int], None]] = {
    "writes": race_writes,
    "puts": race_puts,
    "deletion": race_deletion,
}


def main(role: str, url: str, number: str) -> None:
    """Waits for the start, then does its part."""
    with RedisSaver.from_conn_string(url) as saver:
        saver.setup()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        ROLES[role](saver, int(number))
    sys.stdout.write(json.dumps({"done": role}))


if __name__ == "__main__":
    main(*sys.argv[1:])
