"""The plan behind `get_delta_channel_history`: walks ancestors on the server, 1,000 a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph.checkpoint.base import DeltaChannelHistory

from saver import _codec as codec
from saver._ids import encode_text, target_of
from saver._requests import Call
from saver._values import PageValues

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._codec import Write
    from saver._keys import Keys
    from saver._plans import Plan


def get_delta_channel_history(
    keys: Keys, serde: SerializerProtocol, config: RunnableConfig, channels: Sequence[str]
) -> Plan[Mapping[str, DeltaChannelHistory]]:
    """Each channel's writes along the ancestors, back to where its value was last stored."""
    remaining = {encode_text("a channel name", channel): channel for channel in channels}
    newest_first: dict[str, list[list[Write]]] = {channel: [] for channel in channels}
    seeds = {}
    target = target_of(config)
    below: bytes | None = target.checkpoint_id or b""
    since = b""
    while remaining and below is not None:
        ancestors, found, stored, bases, below, since = yield Call(
            "delta_history",
            keys.thread(target.thread_id),
            (target.thread_id, target.ns, below, since, *remaining),
        )
        values = PageValues(serde, stored, bases)
        ends = {}
        for name, value, position in zip(found[::3], found[1::3], found[2::3], strict=True):
            channel = remaining.pop(name)
            ends[channel] = position
            seeds[channel] = values.load(value, channel)
        walking = {*ends, *remaining.values()}
        for position, tasks in enumerate(ancestors, 1):
            writes = codec.unpack_tasks(tasks)
            for channel in walking:
                if position <= ends.get(channel, position):
                    newest_first[channel].append([w for w in writes if w.channel == channel])
    histories = {}
    for channel, steps in newest_first.items():
        history = DeltaChannelHistory(
            writes=[
                (write.task_id, write.channel, codec.load(serde, write.kind, write.data))
                for step in reversed(steps)
                for write in step
            ]
        )
        if channel in seeds:
            history["seed"] = seeds[channel]
        histories[channel] = history
    return histories
