"""Files as a stranger would write them, and bugs to be planted in them, for `test_own_bugs`."""

AGENT = """
import dataclasses
import torch
from torch import nn
from hrm_gym.agents import Agent, Output, register_agent

@dataclasses.dataclass
class Config:
    width: int = 8

class Net(Agent):
    Config = Config

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.num_features = config.width
        self.embed = nn.Embedding(spec.num_tokens, config.width)
        self.answer = nn.Linear(config.width, spec.num_tokens)

    def initial_state(self, num):
        return torch.zeros(num, self.spec.num_cells, self.config.width)

    def forward(self, state, obs):
        state = state + self.embed(obs["puzzle"])
        return state, Output(self.answer(state), state.mean(1))

register_agent("NAME", "MODULE:Net")
"""
RULE = """
import dataclasses
import torch
from torch import nn
import torch.nn.functional as F
from hrm_gym.agents import HaltingRule, register_halting

@dataclasses.dataclass
class Config:
    patience: int = 2

class Rule(HaltingRule):
    Config = Config
    signals = ("hope",)
    num_uniforms = 1

    def __init__(self, config, num_features):
        super().__init__(config, num_features)
        self.head = nn.Linear(num_features, 1)

    def begin(self, num, max_segments, device):
        super().begin(num, max_segments, device)
        self.memory = {"best": torch.zeros(num, device=device)}

    def read(self, output):
        return {"hope": self.head(output.features)[:, 0]}

    def lead(self, signals, segment):
        return torch.where(segment >= self.config.patience, signals["hope"], -1.0)

    def belief(self, signals):
        return signals["hope"]

    def explore(self, signals, segment, uniforms):
        return self.decide(signals, segment) & (uniforms[:, 0] < 0.9)

    def loss(self, experience):
        right = experience.right.float()
        return F.binary_cross_entropy_with_logits(experience.signals["hope"], right, reduction="none")

register_halting("NAME", "MODULE:Rule")
"""
PUZZLE = """
import numpy as np
import hrm_gym
from hrm_gym.envs.task import Puzzles, Task

class Copy(Task):
    shape = (2, 3)
    symbols = ".abc"

    def __init__(self, share=0.5):
        self.share = share

    def sample(self, num, rng):
        solution = rng.integers(1, 4, (num, 6)).astype(np.uint8)
        shown = rng.random((num, 6)) < self.share
        puzzle = solution * shown
        return Puzzles(puzzle.astype(np.uint8), solution)

    def violations(self, puzzle, answer):
        broken = (puzzle > 0) & (puzzle != answer)
        empty = answer == 0
        return (broken | empty).sum(1)

hrm_gym.register_task("NAME-v0", "MODULE:Copy")
"""
ANYWHERE = {
    "syntax": ("import dataclasses\n", "import dataclasses as\n", "import dataclasses as", "SyntaxError"),
    "package": ("import dataclasses\n", "import dataclasses\nimport myn\n", "import myn", "ModuleNotFoundError.*'myn'"),
    "name": ("from torch import nn", "from torch import nm", "import nm", "ImportError: cannot import name 'nm'"),
    "registration": ('"NAME",', '"a name",', "register_agent(|register_halting(", "malformed name 'a name'"),
    "no dataclass": ("@dataclasses.dataclass\n", "", "class Config", "must be a dataclass"),
    "no default": ("    width: int = 8", "    width: int", "class Config|@dataclasses", "Config.width has no default"),
    "class of another name": ("MODULE:", "MODULE:My", "", "unknown .* in MODULE 'My"),
}
"""Bugs by name: what stands in the file, what is written instead, the line that is to be shown, and the message."""
AGENT_BUGS = {
    **ANYWHERE,
    "class body": ("    Config = Config", "    Config = Confg", "Config = Confg", "NameError.*did you mean|NameError"),
    "option": ("width: int = 8", "width: type = int", "@dataclasses", "width is .* a checkpoint cannot hold"),
    "__init__": ("nn.Embedding(spec.num", "nn.Embedding(spec.nm", "spec.nm", "AttributeError.*nm_tokens"),
    "no super": ("        super().__init__(config, spec)\n", "", "self.embed", "AttributeError.*Module.__init__"),
    "features": ("        self.num_features = config.width\n", "", "def __init__", "sets no number of features"),
    "initial_state": ("self.config.width)", "self.config.with_)", "config.with_", "AttributeError.*with_"),
    "slot": (
        "torch.zeros(num, self.spec.num_cells",
        "torch.zeros(self.spec.num_cells, num",
        "def initial",
        "slot is first",
    ),
    "no tensor": (
        "        return torch.zeros(num,",
        "        return 3, torch.zeros(num,",
        "def initial",
        "holds a int",
    ),
    "no method": ("def initial_state", "def initial_stat", "class Net", "lacks initial_state"),
    "other arguments": (
        "def forward(self, state, obs)",
        "def forward(self, obs)",
        "def forward",
        "TypeError.*positional",
    ),
    "forward": ("self.answer(state)", "self.answer(obs)", "self.answer(obs)", "TypeError"),
    "shapes": ('self.embed(obs["puzzle"])', 'self.embed(obs["puzzle"]).mT', "self.embed(obs", "RuntimeError.*size"),
    "no state": ("return state, Output", "return Output", "def forward", "gives a Output: give .state, Output"),
    "logits": (
        "self.answer(state),",
        "self.answer(state).mT,",
        "def forward",
        "as logits .*must be .*real numbers of shape",
    ),
    "mean": ("state.mean(1)", "state.mean(2)", "def forward", "as features .*shape .3, 16.*shape .3, 8."),
    "own loss": ("state.mean(1))", "state.mean(1), state.mean())", "def forward", "as aux_loss .*shape .3,"),
    "gradient": (
        "    def forward",
        "    @torch.no_grad()\n    def forward",
        "@torch.no_grad|def forward",
        "without a gradient",
    ),
}
RULE_BUGS = {
    **{name: bug for name, bug in ANYWHERE.items() if name != "no default"},
    "no default": ("    patience: int = 2", "    patience: int", "@dataclasses", "Config.patience has no default"),
    "class body": ("num_uniforms = 1", "num_uniforms = one", "= one", "NameError"),
    "__init__": ("nn.Linear(num_features, 1)", "nn.Linear(features, 1)", "nn.Linear", "NameError.*features"),
    "begin": ("torch.zeros(num, device", "torch.zeros(nm, device", "zeros(nm", "NameError.*nm"),
    "no method": ("def lead", "def leads", "class Rule", "lacks lead"),
    "read": ("output.features)", "output.feature)", "output.feature)", "AttributeError.*feature"),
    "no dictionary": (
        '{"hope": self.head(output.features)[:, 0]}',
        "self.head(output.features)",
        "def read",
        "dictionary",
    ),
    "shape of a signal": (")[:, 0]}", ")}", "def read", "as hope .*shape .3, 1.*of shape .3,"),
    "names": ('signals = ("hope",)', 'signals = ("hop",)', "def read", "gives the signals .*hope.*hop"),
    "lead": ("self.config.patience", "self.config.patient", "self.config.patient", "AttributeError.*patient"),
    "lead's type": ('signals["hope"], -1.0)', "1, 0)", "def lead", "gives a tensor .*int64: .*real numbers"),
    "explore": ("uniforms[:, 0]", "uniforms[:, 1]", "uniforms[:, 1]", "IndexError"),
    "explore's type": (" & (uniforms[:, 0] < 0.9)", " * uniforms[:, 0]", "def explore", "truth values"),
    "belief": ('        return signals["hope"]', '        return signals["hop"]', '"hop"', "KeyError: 'hop'"),
    "loss": ("experience.right.float()", "1 - experience.right", "1 - experience", "RuntimeError.*bool"),
    "loss's shape": ('reduction="none"', 'reduction="mean"', "def loss", "gives a tensor of shape .. .*of shape .3,"),
}
PUZZLE_BUGS = {
    "syntax": ("    shape = (2, 3)", "    shape = (2, 3", "shape = (2, 3", "SyntaxError"),
    "package": ("import hrm_gym\n", "import hrm_gym\nimport myn\n", "import myn", "ModuleNotFoundError.*'myn'"),
    "name": (
        "import Puzzles, Task",
        "import Puzzle, Task",
        "import Puzzle",
        "ImportError: cannot import name 'Puzzle'",
    ),
    "registration": ('"NAME-v0"', '"NAME"', "register_task", "malformed id"),
    "class of another name": ("MODULE:", "MODULE:My", "", "unknown task in MODULE 'MyCopy'"),
    "class body": ("shape = (2, 3)", "shape = (2, three)", "shape", "NameError"),
    "__init__": ("self.share = share", "self.share = shares", "= shares", "NameError"),
    "no method": ("def violations", "def violation", "class Copy", "lacks violations"),
    "board": ("shape = (2, 3)", "shape = 6", "class Copy", "shape is 6: give rows and columns"),
    "symbols": ('symbols = ".abc"', 'symbols = ".aab"', "class Copy", "symbols is '.aab': give different"),
    "sample": ("solution * shown", "solution * show", "* show", "NameError"),
    "a plain tuple": (
        "return Puzzles(puzzle.astype(np.uint8), solution)",
        "return puzzle, solution",
        "def sample",
        "give Puzzles",
    ),
    "shape": (
        "return Puzzles(puzzle.astype",
        "return Puzzles(puzzle[:, :3].astype",
        "def sample",
        "as puzzle .*must be uint8 of shape .8, 6.",
    ),
    "type": (
        "puzzle.astype(np.uint8), solution",
        "puzzle.astype(np.uint8), solution / 1",
        "def sample",
        "as solution .*float",
    ),
    "tokens": ("integers(1, 4", "integers(1, 9", "def sample", "as (puzzle|solution) tokens . to 8: the 4 symbols"),
    "generator": ("shown = rng.random((", "shown = np.random.random((", "def sample", "`rng` alone"),
    "solution": ("empty = answer == 0", "empty = answer == 1", "def violations", "finds . in a solution of `sample`"),
    "violations": ("answer == 0", "answer == zero", "== zero", "NameError"),
    "count": (".sum(1)", ".sum()", "def violations", "gives .* of shape .. .*it must give as many integers"),
    "tensors": (
        "(broken | empty).sum(1)",
        "np.asarray(broken | empty).sum(1)",
        "def violations",
        "gives a ndarray .* for tensors",
    ),
    "other arguments": (
        "def violations(self, puzzle, answer)",
        "def violations(self, puzzle, answer, by)",
        "def violations",
        "missing 1",
    ),
}
BUGS = [
    *[("--agent", AGENT, "MODULE:NAME", *bug) for bug in AGENT_BUGS.values()],
    *[("--halting", RULE, "MODULE:NAME", *bug) for bug in RULE_BUGS.values()],
    *[("--env", PUZZLE, "MODULE:NAME-v0", *bug) for bug in PUZZLE_BUGS.values()],
]
NAMES = [
    f"{door} {name}"
    for door, bugs in (("agent", AGENT_BUGS), ("rule", RULE_BUGS), ("puzzle", PUZZLE_BUGS))
    for name in bugs
]
