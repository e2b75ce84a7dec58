"""LangGraph checkpoints in plain Redis or Valkey: one atomic Lua script an operation."""

from saver import errors
from saver._async import AsyncRedisSaver
from saver._lifecycle import ThreadInfo
from saver._sync import RedisSaver

__all__ = ["AsyncRedisSaver", "RedisSaver", "ThreadInfo", "errors"]
