"""`hrm-gym play`: watch an agent in a window, in a recording or as text."""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.cli.bar import bar
from hrm_gym.cli.given import read_given, tell_format
from hrm_gym.cli.parse import parse
from hrm_gym.cli.player import FIRST_SECONDS, KEYS, RESULT_SECONDS, Case, Player, Step, Think, own_case
from hrm_gym.cli.watched_tasks import SpotThinker
from hrm_gym.envs.drawing.frame import Frame, Search
from hrm_gym.envs.drawing.recording import FADE_FRAMES, Recorder
from hrm_gym.envs.drawing.recording import FADE_SECONDS as FRAME_SECONDS
from hrm_gym.envs.drawing.renderer import BoardRenderer, Renderer
from hrm_gym.envs.drawing.text import board_text, headline, legend, signs
from hrm_gym.envs.drawing.window import NoDisplayError, Window
from hrm_gym.envs.registration import canonical_id, halting_id, hardness, make_task, puzzle_id, task_class, task_ids
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    from hrm_gym.agents.policy import Policy
    from hrm_gym.agents.policy import Search as Searched

_FPS = 30  # frames per second of the window
FADE_SECONDS = 0.2
"""Duration of the transition between segments in a window."""


@dataclass(frozen=True)
class Arguments:
    """Watch an agent solve puzzles, segment by segment."""

    env: str | None = None
    """Environment id; default: the hardest one with a shipped agent. A halting id, such as `Sudoku6x6-Halt-v0`, also
    shows the agent's decision after each segment: continue or halt."""
    checkpoint: str = "pretrained"
    """`pretrained` (the shipped agent), `pretrained:ID` (the agent shipped for environment ID), a run's folder, a file
    or `hf:OWNER/NAME`."""
    puzzle: str | None = None
    """Your own puzzle in any layout, or a file of puzzles; default: random puzzles of the test set."""
    record: Path | None = None
    """Record to this file: out.gif, out.mp4, or strip.png for a row of boards, one per segment."""
    overwrite: bool = False
    """Replace an existing recording."""
    headless: bool = False
    """Open no window; print the boards, or with --record write the recording."""
    episodes: int | None = None
    """Number of puzzles to show; default: no limit in a window, otherwise one."""
    seed: int = 0
    """Random seed that selects the test puzzles."""
    max_segments: int = 64
    """Maximum number of segments per puzzle, even if the agent does not halt. Training usually uses 16."""
    speed: float = 2.0
    """Segments per second."""
    boards: int = 0
    """Number of boards that the agent works on in parallel: the puzzle itself and copies with guesses. The board with
    the highest confidence is shown. 0: 32 if the agent can detect wrong guesses, otherwise 1. Unless this is 1,
    `--checkpoint pretrained` selects the shipped agent that guesses, if there is one."""
    seconds: float = 40.0
    """Seconds of one core to train a network on each task (ARC)."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""


def run(argv: Sequence[str]) -> int:
    """Run the command."""
    return play(parse(Arguments, argv, "play"))


def play(args: Arguments) -> int:
    """Run the command and return its exit status.

    Raises:
        HrmGymError: if an argument, puzzle or checkpoint is invalid, there is no display, or the recording cannot be
            written.
    """
    for name in ("episodes", "max_segments", "speed", "seconds"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            option = name.replace("_", "-")
            raise HrmGymError(f"--{option} {value} is not a number above 0: leave it out for the default")
    if args.seed < 0:
        raise HrmGymError(f"--seed {args.seed} is below 0: give 0 or more")
    env_id = canonical_id(puzzle_id(args.env)) if args.env else default_env(args.checkpoint)
    decides = args.env is not None and puzzle_id(args.env) != args.env
    title = halting_id(env_id) if decides else env_id
    learner = None
    if args.checkpoint == "pretrained" and task_class(env_id).by_examples:
        learner = SpotThinker(env_id, args.puzzle, args.seconds, args.seed)
    task: Task = learner.task if learner else _task(env_id, args.checkpoint)
    film = None if args.record is None else Film(args.record, task, title, args.overwrite)
    cases = iter(learner.cases) if learner else _cases(task, args)
    alone = args.headless and args.episodes is None
    thinker = learner or load(env_id, args.checkpoint, args.device, args.boards)
    player = Player(
        task,
        cases,
        thinker,
        max_segments=args.max_segments,
        speed=args.speed,
        episodes=1 if alone else args.episodes,
        stay=args.puzzle is not None and args.episodes is None and not args.headless,
        asked=getattr(thinker, "asked", ()),
        decides=decides,
        search=getattr(thinker, "search", None),
    )
    try:
        with film.recorder if film else contextlib.nullcontext():
            if args.headless:
                with bar("filming") if film else contextlib.nullcontext():
                    _run_headless(player, task, film)
            else:
                _run_window(player, Renderer(task, title, KEYS), film)
    except KeyboardInterrupt:
        print()
    for result in player.results:
        outcome = {True: "solved", False: "not solved", None: "not graded"}[result.solved]
        outcome = f"right ({result.another})" if result.another else outcome
        plural = "" if result.segments == 1 else "s"
        print(f"{result.name}: {outcome} in {result.segments} segment{plural}")
    if film is not None and film.recorder.written:
        print(f"written: {film.recorder.path}")
    return 0


class Film:
    """The frames, written to a recording.

    Args:
        path: see `Recorder`.
        task: the puzzle family to draw.
        title: text above the board.
        overwrite: see `Recorder`.
    """

    def __init__(self, path: Path, task: Task, title: str, overwrite: bool = False) -> None:
        self.recorder = Recorder(path, overwrite)
        self._pictures = BoardRenderer(task) if self.recorder.is_strip else Renderer(task, title)
        self._last: Frame | None = None

    def add(self, frame: Frame, seconds: float) -> None:
        """Add a frame; a strip keeps one frame per segment."""
        last, self._last = self._last, frame
        first = last is None or frame.puzzle is not last.puzzle
        follows = last is not None and frame.follows(last)
        if self.recorder.is_strip and not first and not follows:
            return
        picture = self._pictures.rgb(frame)
        if first:
            seconds = max(seconds, FIRST_SECONDS)  # a recording has no pause key
        elif follows and seconds >= 2 * FADE_FRAMES * FRAME_SECONDS:
            seconds -= self.recorder.fade(picture)
        self.recorder.add(picture, seconds, first)


def _run_headless(player: Player, task: Task, film: Film | None) -> None:
    """Show every frame once, without waiting."""
    if film is None:
        print(legend(player.frame), end="\n\n")
    while not player.done:
        frame = player.frame
        if film is not None:
            film.add(frame, player.hold)
        else:
            bold = task.is_given(frame.puzzle) if sys.stdout.isatty() else None
            print(headline(task, frame))
            print(board_text(task, frame.answer, signs(task, frame), bold), end="\n\n", flush=True)
        player.advance()


def _run_window(player: Player, renderer: Renderer, film: Film | None) -> None:
    """Show frames in a window until the player is done; a recording keeps their timing but shortens long pauses.

    Raises:
        HrmGymError: if there is no display.
    """
    try:
        window = Window(renderer, "hrm-gym", fade=FADE_SECONDS)
    except NoDisplayError as error:
        raise HrmGymError(f"{error}: run with a screen, or use --headless --record out.gif") from None
    try:
        shown, seconds = player.frame, 0.0
        while not player.done:
            window.show(player.frame)
            passed = window.wait(_FPS)
            seconds += passed
            for key in window.events():
                player.key(key)
            player.tick(passed)
            if film is not None and (player.frame is not shown or player.done):
                if not shown.overlay:
                    film.add(shown, min(seconds, RESULT_SECONDS))
                seconds = 0.0
            shown = player.frame
    finally:
        window.close()


def _cases(task: Task, args: Arguments) -> Iterator[Case]:
    """Return the user's puzzle, validated immediately, followed by random ones; or only random ones."""
    own = []
    if args.puzzle is not None:
        given, many = read_given(args.puzzle, task)
        if given.format != "text":
            tell_format(given, type(task).__name__)
        for i, puzzle in enumerate(given.puzzles.puzzle, start=1):
            own.append(own_case(task, puzzle, f"your puzzle {i}" if many else "your puzzle"))
    return itertools.chain(own, random_cases(task, args.seed))


def random_cases(task: Task, seed: int) -> Iterator[Case]:
    """Yield random test puzzles forever."""
    puzzles = task.dataset("test")
    rng = np.random.default_rng(seed)
    while True:
        i = int(rng.integers(len(puzzles.puzzle)))
        puzzle, solution = (np.asarray(board[i]).astype(np.int64) for board in puzzles[:2])
        identity = None if puzzles.identity is None else int(puzzles.identity[i])
        yield Case(f"test puzzle {i + 1}", puzzle, solution, identity)


def _task(env_id: str, checkpoint: str) -> Task:
    """Make the puzzle family, with the agent's own training puzzles if the family depends on them."""
    if checkpoint == "pretrained":
        return make_task(env_id)
    from hrm_gym.agents.saved.load import load_task

    return load_task(env_id, checkpoint)


class Thinker:
    """Runs an agent on one puzzle at a time.

    Args:
        policy: the agent, on its device.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.asked = tuple(policy.halting.worded(dict.fromkeys(policy.halting.signals)))
        """Names of the halting rule's signals, as the window shows them."""
        self.search = _of_one(policy.search(policy.initial_state(1)))
        """Initial state of its search; None if it makes no guesses."""

    def __call__(self, case: Case, max_segments: int) -> Iterator[Step]:
        """Yield one step per segment."""
        import torch

        from hrm_gym.agents import think

        place = self._policy.device
        puzzle = torch.from_numpy(case.puzzle[None]).to(place)
        identity = None if case.identity is None else torch.tensor([case.identity], device=place)
        for thought in think(self._policy, puzzle, max_segments, identity):
            yield Step(
                answer=thought.answer[0].cpu().numpy().astype(np.int64),
                confidence=thought.confidence[0].float().cpu().numpy(),
                belief=None if thought.belief is None else float(thought.belief[0]),
                signals=self._policy.halting.worded({name: float(value[0]) for name, value in thought.signals.items()}),
                halt=bool(thought.halt[0]),
                search=_of_one(thought.search),
            )


def _of_one(search: Searched | None) -> Search | None:
    """Convert the search state of one puzzle for drawing."""
    if search is None:
        return None
    opened, waiting, given_up = (int(count[0]) for count in (search.open, search.waiting, search.given_up))
    return Search(opened, waiting, given_up, guesses=search.guesses[0].cpu().numpy())


def load(env_id: str, checkpoint: str, device: str, boards: int = 0) -> Think:
    """Load the agent of a checkpoint for one puzzle at a time, with `boards` boards in parallel.

    Raises:
        HrmGymError: if there is no such agent, or it cannot work on several boards.
    """
    from hrm_gym.agents.inference.loading import load_guessing

    return Thinker(load_guessing(env_id, checkpoint, device, boards)[0])


def default_env(checkpoint: str) -> str:
    """Return the environment that the checkpoint was trained on, or the hardest one with a shipped agent."""
    from hrm_gym.agents.saved.load import trained_env
    from hrm_gym.agents.saved.sources import PRETRAINED

    if checkpoint != "pretrained":
        return trained_env(checkpoint)
    shipped = [env_id for env_id in task_ids() if (PRETRAINED / f"{env_id}.safetensors").is_file()]
    if shipped:
        return max(shipped, key=hardness)
    raise HrmGymError("no agent is shipped: train one with train_agent.py, then give --env and --checkpoint")
