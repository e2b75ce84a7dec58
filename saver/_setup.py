"""The plans behind `setup` and the `saver scripts` command: check the server, load the scripts."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from saver._requests import Command
from saver._scripts import scripts
from saver.errors import EvictionPolicyWarning, ServerUnsuitableError

if TYPE_CHECKING:
    from saver._plans import Plan
    from saver._scripts import Script

OLDEST = (7, 0)
"""The first Redis with `#!lua` script flags; every Valkey has them."""


def setup() -> Plan[None]:
    """Checks the server and loads the scripts.

    Raises:
        ServerUnsuitableError: the server is older than Redis 7.0.
    """
    yield from check_server()
    yield from load_scripts()


def check_server() -> Plan[None]:
    """Refuses a server that is too old, warns of an eviction policy that loses checkpoints."""
    info = yield Command(("INFO",))
    version = str(info.get("redis_version", "0"))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        msg = f"the server is Redis {version}: the scripts need Redis {oldest} or later, or Valkey"
        raise ServerUnsuitableError(msg)
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys"):
        msg = (
            f"maxmemory-policy is {policy}: a server that runs out of memory would drop "
            "checkpoints. Set `CONFIG SET maxmemory-policy noeviction`, or in redis.conf"
        )
        warnings.warn(msg, EvictionPolicyWarning, stacklevel=2)


def load_scripts() -> Plan[list[Script]]:
    """Loads every script; returns them."""
    loaded = list(scripts().values())
    yield tuple(Command(("SCRIPT LOAD", script.source)) for script in loaded)
    return loaded


def missing_scripts() -> Plan[list[Script]]:
    """The scripts that the server does not have."""
    known = list(scripts().values())
    found = yield Command(("SCRIPT EXISTS", *(script.sha for script in known)))
    return [script for script, present in zip(known, found, strict=True) if not present]
