"""One job in a process of its own: `python -m worker.job_process WORKER JOB EXECUTION`, started by the worker."""

from __future__ import annotations

import os
import sys

from rq.executions import Execution
from rq.serializers import JSONSerializer

from cheques.settings import settings
from worker.queue import OwnJob, connect, is_ours, queues
from worker.rq_worker import OneByOne


def main(worker_name: str, job_id: str, execution_id: str) -> None:
    """Do the job as RQ does it in its own child processes; the process ends with it."""
    os.umask(0o077)
    connection = connect(settings().redis_url, 30.0)
    key = OneByOne.redis_worker_namespace_prefix + worker_name
    worker = OneByOne.find_by_key(key, connection=connection, job_class=OwnJob, serializer=JSONSerializer)
    if worker is None:
        sys.exit(f"worker {worker_name} is unknown to Redis, which was wiped: it begins the job again")
    job = OwnJob.fetch(job_id, connection=connection, serializer=JSONSerializer)
    if not is_ours(job):
        sys.exit(f"job {job_id} was changed after the worker took it: it is not begun")
    (queue,) = queues(connection, [job.origin])
    worker.execution = Execution.fetch(execution_id, job.id, connection=connection)
    worker.main_work_horse(job, queue)


if __name__ == "__main__":
    main(*sys.argv[1:])
