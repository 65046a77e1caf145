"""`python -m worker [QUEUE…]`: serve the queue (all of it, or the parts named) until stopped."""

from __future__ import annotations

import sys

import structlog

from cheques.log import log_to_stderr
from cheques.settings import BadSettings, remarks, settings
from store.projects import served
from worker.queue import QUEUES
from worker.rq_worker import AlreadyRunning, work


def main() -> int:
    names = tuple(sys.argv[1:]) or QUEUES
    log_to_stderr()
    try:
        if unknown := set(names) - set(QUEUES):
            raise BadSettings(f"no queue {', '.join(sorted(unknown))}: there are {', '.join(QUEUES)}")
        own = settings()
        for remark in remarks(own):
            structlog.get_logger().warning("setting.idle", reason=remark)
        work(own, lambda: served(own), names)
    except (BadSettings, AlreadyRunning) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
