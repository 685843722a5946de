"""The Hierarchical Reasoning Model in one file: two coupled modules, deep supervision, Q-learning of halting.

    python examples/minimal_hrm.py

learns `Sudoku4x4-v0` in two minutes of one CPU core. Only the environments come from the package. Read it from the end:
`train` is the whole idea, the classes above it are its parts (HRM, arXiv 2506.21734).
"""

import argparse
import time

import gymnasium as gym
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# ---- the network: a slow module H and a fast module L ------------------------------------------------


def norm(x, dim=-1):
    """Root-mean-square normalisation."""
    return x * torch.rsqrt(x.square().mean(dim, keepdim=True) + 1e-5)


class GatedMLP(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, size, inner):
        super().__init__()
        self.up = nn.Linear(size, 2 * inner, bias=False)
        self.down = nn.Linear(inner, size, bias=False)

    def forward(self, x):
        """(..., size) -> (..., size)."""
        gate, up = self.up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    """Mixes the positions, then the features of each position; the input is added and normalised each time."""

    def __init__(self, positions, size):
        super().__init__()
        self.mix = GatedMLP(positions, 3 * positions)
        self.mlp = GatedMLP(size, 3 * size)

    def forward(self, x):
        """(B, S, D) -> (B, S, D)."""
        x = norm(x + self.mix(x.transpose(1, 2)).transpose(1, 2), dim=1)
        return norm(x + self.mlp(x))


class HRM(nn.Module):
    """Thinks in segments: L takes two steps for each of the two steps of H.

    One position stands before the L cells of the board; the values of halting and continuing are read from it.
    """

    def __init__(self, cells, tokens, size=64, layers=2):
        super().__init__()
        self.embed = nn.Embedding(tokens, size)
        self.h_net = nn.Sequential(*(Block(cells + 1, size) for _ in range(layers)))
        self.l_net = nn.Sequential(*(Block(cells + 1, size) for _ in range(layers)))
        self.answer = nn.Linear(size, tokens, bias=False)
        self.q = nn.Linear(size, 2)
        nn.init.zeros_(self.q.weight)
        nn.init.constant_(self.q.bias, -5.0)  # both values begin near zero: the first episodes are long
        self.register_buffer("start", torch.randn(2, 1, cells + 1, size))

    def initial_state(self, num):
        """(z_h, z_l), each (num, S, D)."""
        return tuple(start.expand(num, -1, -1) for start in self.start)

    def forward(self, state, puzzle):
        """One segment: the new state, logits (B, L, V), and the Q values of halt and continue, logits (B,)."""
        z_h, z_l = state
        x = F.pad(self.embed(puzzle), (0, 0, 1, 0))  # (B, S, D)
        with torch.no_grad():  # no backpropagation through time ...
            z_l = self.l_net(z_l + z_h + x)
            z_l = self.l_net(z_l + z_h + x)
            z_h = self.h_net(z_h + z_l)
            z_l = self.l_net(z_l + z_h + x)
        z_l = self.l_net(z_l + z_h + x)  # ... the gradient takes the last step of each module alone
        z_h = self.h_net(z_h + z_l)
        q_halt, q_continue = self.q(z_h[:, 0]).unbind(-1)
        return (z_h.detach(), z_l.detach()), self.answer(z_h[:, 1:]), q_halt, q_continue


# ---- learning ----------------------------------------------------------------------------------------


def train(env="Sudoku4x4-v0", num_envs=64, max_segments=16, minutes=2.0, gamma=0.9, seed=0):
    """HRM's training loop is a reinforcement-learning loop over a batch of environments; gives the averaged network."""
    torch.manual_seed(seed)
    envs = gym.make_vec(
        f"hrm_gym:{env}", num_envs=num_envs, device="cpu", autoreset_mode="SameStep", max_segments=max_segments
    )
    task = envs.unwrapped.task
    agent = HRM(task.num_cells, task.num_tokens)
    average = AveragedModel(agent, multi_avg_fn=get_ema_multi_avg_fn(0.995))  # steadier than any one step
    optimizer = torch.optim.AdamW(agent.parameters(), lr=2e-3, weight_decay=1.0, betas=(0.9, 0.95))
    obs, info = envs.reset(seed=seed)
    state = agent.initial_state(num_envs)
    began, steps, right = time.monotonic(), 0, 0.0
    while (used := (time.monotonic() - began) / (60 * minutes)) < 1:
        # think for one segment
        state, logits, q_halt, q_continue = agent(state, obs["puzzle"])
        answer = logits.argmax(-1)

        # act: halt where that is worth more, but now and then only after a random number of segments
        segment = obs["segment"] + 1
        minimum = torch.randint(2, max_segments + 1, (num_envs,)) * (torch.rand(num_envs) < 0.1)
        halt = (q_halt > q_continue) & (segment >= minimum)
        solution, puzzle = info["solution"], obs["puzzle"]
        obs, _, terminated, truncated, info = envs.step(torch.cat((answer, halt[:, None]), dim=1))
        done = terminated | truncated
        correct = info["final_info"]["is_success"]  # of every slot, before finished ones are reset

        # learn: the answer from the solution, Q(halt) from the grade, Q(continue) from the values one segment later
        with torch.no_grad():
            _, _, next_halt, next_continue = agent(state, puzzle)
            target = gamma * torch.maximum(next_halt, next_continue).sigmoid()
            target = torch.where(segment == max_segments, correct.float(), target)
        loss = F.cross_entropy(logits.flatten(0, 1), solution.flatten())
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(q_halt, correct.float())
        loss = loss + 0.5 * F.binary_cross_entropy_with_logits(q_continue, target)
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (steps + 1) / 100, 2.06 * (1 - used) + 0.03)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(agent)

        # finished slots think afresh about their next puzzle, the others go on
        fresh = agent.initial_state(num_envs)
        state = tuple(torch.where(done[:, None, None], new, old) for new, old in zip(fresh, state, strict=True))
        steps, right = steps + 1, 0.99 * right + 0.01 * correct.float().mean().item()
        if steps % 200 == 0:
            print(f"step {steps:5}  loss {loss.item():.3f}  right {100 * right:5.1f} %", flush=True)
    return average.module


@torch.no_grad()
def accuracy(agent, env="Sudoku4x4-v0", num=1000, segments=16):
    """Share of test puzzles that are solved after so many segments."""
    envs = gym.make_vec(f"hrm_gym:{env}", num_envs=num, device="cpu", split="test", autoreset_mode="Disabled")
    obs, _ = envs.reset(options={"index": list(range(num))})
    state = agent.initial_state(num)
    for _ in range(segments):
        state, logits, _, _ = agent(state, obs["puzzle"])
    action = torch.cat((logits.argmax(-1), torch.ones(num, 1, dtype=torch.long)), dim=1)  # the answer, and halt
    return envs.step(action)[1].mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="Sudoku4x4-v0")
    parser.add_argument("--minutes", type=float, default=2.0)
    arguments = parser.parse_args()
    trained = train(arguments.env, minutes=arguments.minutes)
    print(f"{100 * accuracy(trained, arguments.env):.1f} % of 1,000 test puzzles solved after 16 segments")
