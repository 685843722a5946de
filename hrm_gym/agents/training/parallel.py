"""Data-parallel training: the processes started by `torchrun` compute the same run as a single process.

Rank r thinks in the slots r * n to (r + 1) * n of the run's batch. Every process steps the environments of *all*
slots: this costs little compared with the network, and it keeps puzzles and random numbers the same in all processes.
The number of processes then affects only the order in which gradients are added. A step exchanges

    the actions      gathered, so that the environments of all slots can be stepped
    the gradients    summed; the rows of a puzzle embedding are gathered, because its update uses the sign of their sum
    a few numbers    between the hosts: the clock of rank 0, which the learning rate follows, and whether to stop

In a run of one process all functions do nothing. A signal to `torchrun` reaches all processes, which save and exit.
It kills them after 30 seconds, so a signal during a long evaluation may lose the steps since the last checkpoint.
"""

from __future__ import annotations

import datetime
import os
import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hrm_gym.errors import HrmGymError

# All processes wait while rank 0 evaluates. If a process dies, torchrun ends them all.
PATIENCE = datetime.timedelta(days=1)


def join(device: str) -> str:
    """Join the process group of the run, according to the environment variables of `torchrun`.

    Args:
        device: a torch device, which must exist.

    Returns:
        The device of this process: `device`, or the GPU with its local rank if there are several.

    Raises:
        HrmGymError: if there are more processes than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    backend = "gloo"
    if torch.device(device).type == "cuda":
        local, found = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= found:
            raise HrmGymError(f"process {local} of this machine has no GPU: give --nproc-per-node {found} to torchrun")
        device, backend = f"cuda:{local}", "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=PATIENCE)
    return device


def leave() -> None:
    """Leave the process group once all are done, and end this process; does nothing in a run of one process."""
    if dist.is_initialized():
        agree(0.0)
        dist.destroy_process_group()
        # gloo's threads sometimes abort an interpreter that exits normally.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def is_leader() -> bool:
    """Whether this is rank 0, the only one that evaluates, shows and writes; known before `join`."""
    return int(os.environ.get("RANK", "0")) == 0


def size() -> int:
    """Number of processes of the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_slots(num: int) -> slice:
    """The slots of this process among all `num`.

    Raises:
        HrmGymError: if `num` is not a multiple of the number of processes.
    """
    each, left = divmod(num, size())
    if left:
        raise HrmGymError(f"num_envs is {num}, which {size()} processes cannot share evenly: give a multiple")
    first = each * dist.get_rank() if dist.is_initialized() else 0
    return slice(first, first + each)


def gather(tensor: Tensor) -> Tensor:
    """The slots of all processes, (B, ...), from those of this one, (B / size, ...), without gradient."""
    if size() == 1:
        return tensor
    whole = tensor.new_empty(size() * len(tensor), *tensor.shape[1:])
    # As bytes: not every backend supports every type.
    parts = list(whole.view(torch.uint8).chunk(size()))
    dist.all_gather(parts, tensor.detach().contiguous().view(torch.uint8))
    return whole


def sum_gradients(model: nn.Module) -> None:
    """Sum the gradient of every parameter over all processes."""
    if size() == 1:
        return
    dense = []
    for parameter in model.parameters():
        if (gradient := parameter.grad) is None:
            continue
        if gradient.is_sparse:
            rows, values = gather(gradient._indices()[0]), gather(gradient._values())
            parameter.grad = torch.sparse_coo_tensor(rows[None], values, gradient.shape, check_invariants=False)
        else:
            dense.append(gradient)
    summed = torch.cat([gradient.flatten() for gradient in dense])  # one message instead of dozens
    dist.all_reduce(summed)
    parts = summed.split([gradient.numel() for gradient in dense])
    torch._foreach_copy_(dense, [part.view_as(gradient) for part, gradient in zip(parts, dense, strict=True)])


def agree(seconds: float, *flags: bool) -> tuple[float, list[bool]]:
    """The clock of rank 0, and which flags are raised in any process. Only the hosts wait for each other."""
    if size() == 1:
        return seconds, list(flags)
    message = torch.tensor([seconds if is_leader() else 0.0, *flags], dtype=torch.float64)
    dist.all_reduce(message)
    clock, *raised = message.tolist()
    return clock, [count > 0 for count in raised]
