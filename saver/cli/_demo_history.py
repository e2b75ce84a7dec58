"""The parts of the demo that look back: history, time travel, fork. All on the first thread."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage

from saver import RedisSaver
from saver.cli._demo_agent import WEATHER, cities_told, question_about, weather_agent
from saver.cli._demo_report import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.runnables import RunnableConfig
    from langgraph.types import StateSnapshot

    from saver.cli._demo_agent import Agent
    from saver.cli._demo_report import Demo

    History = list[StateSnapshot]


def show_history(demo: Demo) -> None:
    """Shows the checkpoints of the first thread."""
    report = demo.report
    report.part("3. History", f'The checkpoints of "{question_about("sf")}", newest first.')
    with _opened(demo) as agent:
        history = _history(demo, agent)
    _show(demo, history)
    ids, parents = [_id(it.config) for it in history], [_id(it.parent_config) for it in history]
    report.claim("they come in the order of their ids", holds=ids == sorted(ids, reverse=True))
    report.claim("each one's parent is the one below it", holds=parents == [*ids[1:], ""])


def travel(demo: Demo) -> None:
    """Runs again from an older checkpoint."""
    report = demo.report
    with _opened(demo) as agent:
        before = _history(demo, agent)
        past = _oldest_before("tools", before)
        report.part(
            "4. Time travel",
            f"Run again from {_id(past.config)}, where the tools were next.\n"
            "What is new, newest first:",
        )
        with report.busy("running"):
            agent.invoke(None, past.config)
        after = _history(demo, agent)
    new = after[: -len(before)]
    if not new:
        raise DemoError("the run left no checkpoint")
    _show(demo, new)
    report.claim(
        f"{len(new)} new checkpoints branch off from that one",
        holds=_line(new[0], after)[len(new)] == _id(past.config),
    )
    report.claim(f'the same weather again: "{WEATHER["sf"]}"', holds=_ended(new[0], "sf"))
    _claim_unchanged(demo, before, after)


def fork(demo: Demo) -> None:
    """Changes an older state, and goes on from there."""
    report = demo.report
    with _opened(demo) as agent:
        before = _history(demo, agent)
        past = _oldest_before("model", before)
        report.part(
            "5. Fork",
            f"update_state on {_id(past.config)}, before the first answer:\n"
            f'the question becomes "{question_about("nyc")}". The whole thread afterwards:',
        )
        with report.busy("running"):
            _ask_instead(agent, past)
        after = _history(demo, agent)
        latest = agent.get_state(demo.thread("sf"))
        first = agent.get_state([it for it in before if not it.next][-1].config)
    branches = [("fork", latest), ("travel", before[0]), ("first run", first)]
    # Shared ancestors belong to the branch that came first, which is the last one here.
    names = {each: name for name, tip in branches for each in _line(tip, after)}
    _show(demo, after, names)
    report.claim(f'the fork ends with "{WEATHER["nyc"]}"', holds=_ended(latest, "nyc"))
    report.claim(f'the first run still ends with "{WEATHER["sf"]}"', holds=_ended(first, "sf"))
    _claim_unchanged(demo, before, after)


@contextmanager
def _opened(demo: Demo) -> Iterator[Agent]:
    with RedisSaver.from_conn_string(demo.url) as saver:
        yield weather_agent(saver, demo.model)


def _history(demo: Demo, agent: Agent) -> History:
    return list(agent.get_state_history(demo.thread("sf")))


def _id(config: RunnableConfig | None) -> str:
    return str(config["configurable"]["checkpoint_id"]) if config else ""


def _oldest_before(node: str, history: History) -> StateSnapshot:
    found = [snapshot for snapshot in history if snapshot.next == (node,)]
    if not found:
        raise DemoError(f"no checkpoint where {node} comes next: the model did not use its tool")
    return found[-1]


def _ask_instead(agent: Agent, past: StateSnapshot) -> None:
    asked = past.values["messages"][-1]
    question = HumanMessage(question_about("nyc"), id=asked.id)  # an equal id replaces the message
    agent.invoke(None, agent.update_state(past.config, {"messages": [question]}))


def _line(tip: StateSnapshot, history: History) -> list[str]:
    """Ids from `tip` back to the first checkpoint."""
    parents = {_id(it.config): _id(it.parent_config) for it in history}
    line = [_id(tip.config)]
    while parents.get(line[-1]):
        line.append(parents[line[-1]])
    return line


def _ended(snapshot: StateSnapshot, city: str) -> bool:
    return not snapshot.next and cities_told(snapshot.values["messages"]) == [city]


def _claim_unchanged(demo: Demo, before: History, after: History) -> None:
    demo.report.claim(
        f"the {len(before)} checkpoints that were there before are unchanged",
        holds=list(map(_content, after[-len(before) :])) == list(map(_content, before)),
    )


def _content(snapshot: StateSnapshot) -> tuple[Any, ...]:
    return (snapshot.config, snapshot.parent_config, snapshot.values, snapshot.metadata)


def _show(demo: Demo, history: History, branches: dict[str, str] | None = None) -> None:
    columns = ["step", "source", "next", "checkpoint id", *(["branch"] if branches else [])]
    rows = []
    for snapshot in history:
        metadata, checkpoint_id = snapshot.metadata or {}, _id(snapshot.config)
        next_ = ", ".join(snapshot.next) or "(end)"
        row = [metadata.get("step"), metadata.get("source"), next_, checkpoint_id]
        rows.append([*row, branches.get(checkpoint_id, "")] if branches else row)
    demo.report.table(columns, rows)
