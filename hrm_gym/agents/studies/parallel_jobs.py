"""Parallel jobs on one or more machines with Ray, an optional dependency."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hrm_gym.errors import HrmGymError, extra, first_line

OBJECTS = 100_000_000
"""Bytes of Ray's object store. Jobs exchange little; Ray's default is a third of the memory."""


def require_ray() -> Any:
    """Import Ray, or raise an error that says how to install it."""
    return extra("ray", "ray", "doing several runs at once", "leave out --at-once")


def run_jobs(
    work: Callable[..., Any], jobs: Sequence[tuple], num: int, num_gpus: float = 0.0
) -> Iterator[tuple[int, Any]]:
    """Run jobs in separate processes, `num` at a time.

    If `RAY_ADDRESS` is set, they run on that cluster, whose machines must share the folders. Otherwise Ray is started
    locally and stopped at the end. Each process has one core.

    Args:
        work: a module-level function, which the processes import.
        jobs: the arguments of each call.
        num: maximum number of jobs at a time.
        num_gpus: GPUs for each job.

    Yields:
        The number and the result of each job, in the order of completion.

    Raises:
        HrmGymError: if Ray is missing or does not start, or a process died.
    """
    ray = require_ray()
    own = {"num_cpus": num, "include_dashboard": False, "object_store_memory": OBJECTS}
    options = {} if os.environ.get("RAY_ADDRESS") else own
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **options)
    except Exception as error:  # Ray raises many types of error
        ray.shutdown()
        raise HrmGymError(
            f"Ray did not start ({first_line(error)}): leave out --at-once, or see `ray status`"
        ) from None
    try:
        remote = ray.remote(num_cpus=1, num_gpus=num_gpus, max_retries=0)(work)
        waiting, running = list(enumerate(jobs))[::-1], dict[Any, int]()
        while waiting or running:
            while waiting and len(running) < num:
                number, job = waiting.pop()
                running[remote.remote(*job)] = number
            done, _ = ray.wait(list(running))
            try:
                yield running.pop(done[0]), ray.get(done[0])
            except ray.exceptions.RayError as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                raise HrmGymError(f"a worker process died ({reason}): run the same command again to continue") from None
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
