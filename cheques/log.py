"""Logs of the services: one JSON object a line on stderr. Ids and reasons only, never what is written on a cheque."""

from __future__ import annotations

import sys

import structlog


def log_to_stderr() -> None:
    """Call once, where a process starts."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        # Looked up at each line, since tests and command lines replace stderr.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )


def code_place(error: BaseException) -> str:
    """Where an error was raised, as file:line; its message is not for logs, since it may hold what is on a cheque."""
    # The innermost frame is where it happened.
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
