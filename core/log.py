"""Structured logs: one JSON line an event, on standard error. Ids and counts only, never what a visitor uploaded."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
import traceback

_logger = logging.getLogger("manabi")


def setup() -> None:
    """Send Manabi's events to standard error as they are; done once per process."""
    if not _logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
        _logger.propagate = False


def mute(name: str) -> None:
    """Keep a library's logger silent: it may quote what a visitor uploaded, and our own events tell its news."""
    logging.getLogger(name).addFilter(lambda record: False)


def event(name: str, **facts: str | int | float | None) -> None:
    """Log one event with its facts."""
    setup()
    _logger.info(json.dumps({"time": round(time.time(), 3), "event": name, **facts}))


def incident(where: str, error: BaseException) -> str:
    """Log a bug with its whole stack and return the short id that the visitor is shown."""
    setup()
    number = secrets.token_hex(4)
    stack = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    facts = {"id": number, "where": where, "type": type(error).__name__, "stack": stack}  # no message: it may quote data
    _logger.error(json.dumps({"time": round(time.time(), 3), "event": "incident", **facts}))
    return number
