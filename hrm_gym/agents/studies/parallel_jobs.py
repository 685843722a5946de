"""Several jobs at once, on this machine or on many, by Ray, which is an extra."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hrm_gym.errors import HrmGymError, extra, first_line

OBJECTS = 100_000_000
"""Bytes of memory that Ray sets apart for what jobs hand each other, which is little; its own default is a third."""


def require_ray() -> Any:
    """Ray, or a word where it is missing."""
    return extra("ray", "ray", "doing several runs at once", "leave out --at-once")


def run_jobs(
    work: Callable[..., Any], jobs: Sequence[tuple], num: int, num_gpus: float = 0.0
) -> Iterator[tuple[int, Any]]:
    """Do jobs in processes of their own, `num` of them at a time.

    With `RAY_ADDRESS` set they go to that cluster, whose machines must see the same folders; else Ray is started here
    and stopped in the end. Each process has one core.

    Args:
        work: a function of a module, which the processes import.
        jobs: arguments of each call.
        num: at most so many at a time.
        num_gpus: that each of them takes.

    Yields:
        The number of a job and what it came to, in the order in which they finish.

    Raises:
        HrmGymError: where Ray is missing or does not start, or a process died.
    """
    ray = require_ray()
    own = {"num_cpus": num, "include_dashboard": False, "object_store_memory": OBJECTS}
    options = {} if os.environ.get("RAY_ADDRESS") else own
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True, **options)
    except Exception as error:  # Ray raises what it likes
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
                raise HrmGymError(f"a run in a process of its own died ({reason}): the same command goes on") from None
    finally:
        with contextlib.suppress(Exception):
            ray.shutdown()
