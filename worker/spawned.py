"""One job in a process of its own: `python -m worker.spawned WORKER JOB EXECUTION`, started by the worker."""

from __future__ import annotations

import sys

from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer

from cheques.settings import settings
from worker.process import OneByOne
from worker.queue import connect, queues


def main(worker_name: str, job_id: str, execution_id: str) -> None:
    """Do the job as RQ does it in its own child processes; the process ends with it."""
    connection = connect(settings().redis_url, 30.0)
    key = OneByOne.redis_worker_namespace_prefix + worker_name
    worker = OneByOne.find_by_key(key, connection=connection, serializer=JSONSerializer)
    if worker is None:
        sys.exit(f"worker {worker_name} is unknown to Redis, which was wiped: it begins the job again")
    job = Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
    (queue,) = queues(connection, [job.origin])
    worker.execution = Execution.fetch(execution_id, job.id, connection=connection)
    worker.main_work_horse(job, queue)


if __name__ == "__main__":
    main(*sys.argv[1:])
