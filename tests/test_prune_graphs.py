"""prune on graphs: the namespaces of subgraph calls go with their root checkpoint, not before."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from tests.graph_scenarios import Total, chain, plain
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from saver import RedisSaver

AT = config(ns=None)


pytestmark = pytest.mark.usefixtures("sound")


def namespaces(saver: RedisSaver) -> set[str]:
    """Namespaces that have a checkpoint, task ids left out."""
    found = {each.config["configurable"]["checkpoint_ns"] for each in saver.list(config(ns=None))}
    return {"|".join(part.split(":")[0] for part in ns.split("|")) for ns in found}


def asks(saver: Any = None, **options: Any) -> Any:
    """Works, asks, works on."""
    builder = StateGraph(Total)
    builder.add_node("first", lambda state: {"steps": [f"first {len(state['steps'])}"]})
    builder.add_node("ask", lambda state: {"steps": [interrupt(len(state["steps"]))]})
    builder.add_node("last", lambda state: {"steps": [f"last {len(state['steps'])}"]})
    builder.add_edge(START, "first").add_edge("first", "ask").add_edge("ask", "last")
    return builder.compile(saver, **options)


def around(inner: Any, saver: Any = None) -> Any:
    """A graph with another one as its node."""
    builder = StateGraph(Total).add_node("before", lambda _: {"steps": ["before"]})
    builder.add_node("inner", inner).add_node("after", lambda _: {"steps": ["after"]})
    builder.add_edge(START, "before").add_edge("before", "inner").add_edge("inner", "after")
    return builder.compile(saver)


def in_node(saver: Any) -> Any:
    """A node that calls a graph."""
    inner = asks()
    return around(lambda state: {"steps": inner.invoke({"steps": state["steps"][-1:]})["steps"]},
                  saver)  # fmt: skip


class Items(TypedDict):
    """Results of a fan-out."""

    results: Annotated[list[Any], operator.add]


class Item(TypedDict):
    """One item of it."""

    item: int
    results: Annotated[list[Any], operator.add]


def fan_out(
    saver: Any, count: int = 4, asks_for: Callable[[int], bool] = lambda item: item % 2 == 1
) -> Any:
    """Subgraph calls side by side; those of some items ask."""

    def work(state: Item) -> Any:
        asked = interrupt(state["item"]) if asks_for(state["item"]) else "did not ask"
        return {"results": [(state["item"], asked)]}

    inner = StateGraph(Item).add_node("prepare", lambda _: {"results": []})
    inner.add_node("work", work).add_edge(START, "prepare").add_edge("prepare", "work")
    builder = StateGraph(Items).add_node("inner", inner.compile())
    builder.add_conditional_edges(
        START, lambda _: [Send("inner", {"item": item}) for item in range(count)]
    )
    builder.add_node("end", lambda _: {"results": ["end"]}).add_edge("inner", "end")
    return builder.compile(saver)


GRAPHS: dict[str, Callable[[Any], Any]] = {
    "subgraph": lambda saver: around(asks(), saver),
    "two levels": lambda saver: around(around(asks()), saver),
    "in a node": in_node,
    "own memory": lambda saver: around(asks(True), saver),  # noqa: FBT003 - LangGraph's way
    "own memory inside": lambda saver: around(around(asks(True)), saver),  # noqa: FBT003
}


def asked_turns(saver: Any, graph: Any, durability: Any, prune: Callable[[], None]) -> list[Any]:
    """Turns that ask, are pruned, resumed, and pruned again."""
    seen = []
    for number in range(3):
        given = graph.invoke({"steps": [f"turn {number}"]}, AT, durability=durability)
        seen.append([it.value for it in given.pop("__interrupt__")])
        state = plain(graph.get_state(AT, subgraphs=True))
        prune()
        assert plain(graph.get_state(AT, subgraphs=True)) == state
        result = graph.invoke(Command(resume=f"answer {number}"), AT, durability=durability)
        seen += [given, state, result]
        prune()
        seen.append(plain(graph.get_state(AT, subgraphs=True)))
    return seen


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", GRAPHS)
def test_interrupted_inside(saver: RedisSaver, name: str, durability: Any) -> None:
    """A run that waits inside a subgraph goes on after prune; a call that is over goes."""
    memory = InMemorySaver()
    expected = asked_turns(memory, GRAPHS[name](memory), durability, lambda: None)
    waiting = set()

    def prune() -> None:
        saver.prune(["t"])
        waiting.add(frozenset(namespaces(saver)))

    assert asked_turns(saver, GRAPHS[name](saver), durability, prune) == expected
    over, during = {
        "subgraph": ([""], ["", "inner"]),
        "two levels": ([""], ["", "inner", "inner|inner"]),
        "in a node": ([""], ["", "inner"]),
        "own memory": (["", "inner"], ["", "inner"]),
        "own memory inside": (["", "inner|inner"], ["", "inner", "inner|inner"]),
    }[name]
    assert waiting == {frozenset(over), frozenset(during)}


def test_fan_out(saver: RedisSaver) -> None:
    """Of calls side by side each waits for its own answer, whatever is pruned in between."""
    outcomes = []
    for each in (saver, InMemorySaver()):
        graph, seen = fan_out(each), []
        for _ in range(2):
            asked = graph.invoke({"results": []}, AT)["__interrupt__"]
            while asked:
                if each is saver:
                    saver.prune(["t"])
                asked = sorted(asked, key=lambda it: it.value)
                seen.append([it.value for it in asked])
                answer = Command(resume={asked[0].id: f"answer {asked[0].value}"})
                result = graph.invoke(answer, AT)
                asked = result.pop("__interrupt__", ())
            seen += [result, plain(graph.get_state(AT))]
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]
    saver.prune(["t"])
    assert namespaces(saver) == {""}


def test_calls_of_a_root_checkpoint_that_stays(saver: RedisSaver) -> None:
    """While the root checkpoint before a call stays, so does the latest of the call."""
    graph = around(chain(None), saver)
    graph.invoke({"steps": ["turn"]}, AT)
    roots = ids(saver.list(config()))
    # The call started from the second one: after it came the call's own result, and "after".
    saver.prune(["t"], keep_last=3)
    assert namespaces(saver) == {"", "inner"}
    assert len(list(saver.list(config(ns=None)))) == 3 + 3
    saver.prune(["t"], keep_last=2)
    assert ids(saver.list(config(ns=None))) == roots[:2]


def test_update_inside_an_interrupted_call(saver: RedisSaver) -> None:
    """A state that was changed inside a waiting call is what the call goes on with."""
    outcomes = []
    for each in (saver, InMemorySaver()):
        graph = around(asks(), each)
        graph.invoke({"steps": ["turn"]}, AT)
        inside = graph.get_state(AT, subgraphs=True).tasks[0].state.config
        graph.update_state(inside, {"steps": ["by hand"]})
        if each is saver:
            saver.prune(["t"])
        outcomes.append([
            plain(graph.get_state(AT, subgraphs=True)), graph.invoke(Command(resume="yes"), AT),
        ])  # fmt: skip
    assert outcomes[0] == outcomes[1]


def call(saver: RedisSaver, ns: str, *made: str, parents: Any) -> None:
    """Checkpoints of a subgraph call."""
    for each in made:
        put(saver, config(ns=ns), checkpoint(each, value=each), parents=parents)


def listed(saver: RedisSaver, ns: str) -> list[str]:
    """Ids in a namespace."""
    return ids(saver.list(config(ns=ns)))


def test_root_that_is_not_saved_yet(saver: RedisSaver) -> None:
    """A call whose root checkpoint is still on its way keeps its latest, until that one goes."""
    for root in ("1", "2"):
        put(saver, config(), checkpoint(root))
    call(saver, "node:a", "31", "32", parents={"": "3"})
    saver.prune(["t"])
    assert listed(saver, "node:a") == ["32"]
    put(saver, config(), checkpoint("3"))
    saver.prune(["t"])
    assert listed(saver, "node:a") == ["32"]
    put(saver, config(), checkpoint("4"))
    saver.prune(["t"])
    assert listed(saver, "node:a") == []


def test_call_that_outlives_its_root(saver: RedisSaver) -> None:
    """What a call saves after its root checkpoint was removed goes the next time."""
    for root in ("1", "2"):
        put(saver, config(), checkpoint(root))
    call(saver, "node:a", "11", parents={"": "1"})
    saver.prune(["t"])
    call(saver, "node:a", "12", "13", parents={"": "1"})
    call(saver, "node:b", "21", parents={"": "2"})
    saver.prune(["t"])
    assert (listed(saver, "node:a"), listed(saver, "node:b")) == ([], ["21"])


@pytest.mark.parametrize(
    "parents", [None, {}, {"node": "1"}, {"": 1}, {"": None}, "1", ["", "1"], 7, {"": ""}]
)
def test_call_that_does_not_tell_its_root(saver: RedisSaver, parents: Any) -> None:
    """A namespace whose metadata names no root checkpoint keeps its latest."""
    put(saver, config(), checkpoint("1"))
    call(saver, "node:a", "11", "12", parents=parents)
    put(saver, config(), checkpoint("2"))
    saver.prune(["t"])
    assert listed(saver, "node:a") == ["12"]


def test_subgraph_with_its_own_memory(saver: RedisSaver) -> None:
    """A namespace that names no task keeps its latest, whatever its metadata says."""
    put(saver, config(), checkpoint("1"))
    call(saver, "node", "11", "12", parents={"": "1"})
    call(saver, "node|inner", "11", "12", parents={"": "1", "node": "12"})
    put(saver, config(), checkpoint("2"))
    saver.prune(["t"])
    assert (listed(saver, "node"), listed(saver, "node|inner")) == (["12"], ["12"])


def test_call_of_a_root_with_many(saver: RedisSaver) -> None:
    """More calls than one script run removes go whole."""
    put(saver, config(), checkpoint("1"))
    for number in range(300):
        call(saver, f"node:{number}", "11", "12", parents={"": "1"})
    put(saver, config(), checkpoint("2"))
    saver.prune(["t"])
    assert namespaces(saver) == {""}
