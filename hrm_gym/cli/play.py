"""Watch an agent think: in a window, in a recording or as text."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hrm_gym.cli.bar import bar
from hrm_gym.cli.given import read_given, tell_format
from hrm_gym.cli.parse import parse
from hrm_gym.cli.player import FIRST_SECONDS, KEYS, RESULT_SECONDS, Case, Player, Step, Think, own_case
from hrm_gym.envs.drawing.frame import Frame
from hrm_gym.envs.drawing.recording import FADE_FRAMES, Recorder
from hrm_gym.envs.drawing.recording import FADE_SECONDS as FRAME_SECONDS
from hrm_gym.envs.drawing.renderer import BoardRenderer, Renderer
from hrm_gym.envs.drawing.viewing import board_text
from hrm_gym.envs.drawing.window import NoDisplayError, Window
from hrm_gym.envs.registration import canonical_id, make_task, task_ids
from hrm_gym.envs.task import Task
from hrm_gym.errors import HrmGymError

if TYPE_CHECKING:
    from hrm_gym.agents.policy import Policy

_FPS = 30  # how often a second the window looks for keys
FADE_SECONDS = 0.2
"""In which a window leads over from one segment to the next."""


@dataclass(frozen=True)
class Arguments:
    """Watch an agent think about puzzles, segment by segment."""

    env: str | None = None
    """Environment id; by default the hardest one with a shipped agent."""
    checkpoint: str = "pretrained"
    """`pretrained` for the shipped agent, `pretrained:ID` for that of another environment, a run's folder, a file, or
    `hf:OWNER/NAME`."""
    puzzle: str | None = None
    """A puzzle of your own in any layout, or a file of them; by default random ones of the test set."""
    record: Path | None = None
    """Write what is seen to this file, out.gif or out.mp4; strip.png: a row of boards, one board a segment."""
    overwrite: bool = False
    """Replace a recording that is already there."""
    headless: bool = False
    """Open no window; without --record the boards are printed."""
    episodes: int | None = None
    """Puzzles to show; by default endless in a window, else one."""
    seed: int = 0
    """Chooses the puzzles of the test set."""
    max_segments: int = 64
    """Segments after which a puzzle ends even if the agent would think on; in training 16 are usual."""
    speed: float = 2.0
    """Segments a second."""
    boards: int = 0
    """Boards that are thought about side by side: the puzzle, and the puzzle with guesses that the agent makes and
    gives up; shown is the one that it is surest of. 0: 32 for agents that can tell a wrong guess, 1 for others. But
    for 1, `--checkpoint pretrained` is the agent that guesses, where one ships."""
    device: str = "auto"
    """Where the agent runs: auto, cpu or cuda."""


def run(argv: Sequence[str]) -> int:
    """Play as the arguments say."""
    return play(parse(Arguments, argv, "play"))


def play(args: Arguments) -> int:
    """Runs the command; returns its exit status.

    Raises:
        HrmGymError: on a bad argument, puzzle or checkpoint, without a display, or where the recording
            cannot be written.
    """
    for name in ("episodes", "max_segments", "speed"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            option = name.replace("_", "-")
            raise HrmGymError(f"--{option} {value} is not a number above 0: leave it out for the default")
    if args.seed < 0:
        raise HrmGymError(f"--seed {args.seed} is below 0: give 0 or more")
    env_id = canonical_id(args.env) if args.env else default_env(args.checkpoint)
    task = _task(env_id, args.checkpoint)
    film = None if args.record is None else Film(args.record, task, env_id, args.overwrite)
    cases = _cases(task, args)
    alone = args.headless and args.episodes is None
    thinker = load(env_id, args.checkpoint, args.device, args.boards)
    player = Player(
        task,
        cases,
        thinker,
        max_segments=args.max_segments,
        speed=args.speed,
        episodes=1 if alone else args.episodes,
        stay=args.puzzle is not None and args.episodes is None and not args.headless,
        asked=getattr(thinker, "asked", ()),
    )
    try:
        with film.recorder if film else contextlib.nullcontext():
            if args.headless:
                with bar("filming") if film else contextlib.nullcontext():
                    _run_headless(player, task, film)
            else:
                _run_window(player, Renderer(task, env_id, KEYS), film)
    except KeyboardInterrupt:
        print()
    for result in player.results:
        outcome = {True: "solved", False: "not solved", None: "not graded"}[result.solved]
        plural = "" if result.segments == 1 else "s"
        print(f"{result.name}: {outcome} in {result.segments} segment{plural}")
    if film is not None and film.recorder.written:
        print(f"written: {film.recorder.path}")
    return 0


class Film:
    """What is seen, on its way into a file.

    Args:
        path: see `Recorder`.
        task: that is drawn.
        title: stands over the pictures.
        overwrite: see `Recorder`.
    """

    def __init__(self, path: Path, task: Task, title: str, overwrite: bool = False) -> None:
        self.recorder = Recorder(path, overwrite)
        self._pictures = BoardRenderer(task) if self.recorder.is_strip else Renderer(task, title)
        self._last: Frame | None = None

    def add(self, frame: Frame, seconds: float) -> None:
        """One more frame; a strip takes one a segment."""
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
    """Every frame once, as fast as it comes."""
    while not player.done:
        frame = player.frame
        if film is not None:
            film.add(frame, player.hold)
        else:
            print(f"segment {frame.segment} of {frame.max_segments}")
            print(board_text(task, frame.puzzle, frame.answer), end="\n\n", flush=True)
        player.advance()


def _run_window(player: Player, renderer: Renderer, film: Film | None) -> None:
    """Until the player is done; records what was seen for as long as it was seen, less long pauses.

    Raises:
        HrmGymError: where there is no display.
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
    """The puzzle that was asked for, checked at once; then, or instead of it, random ones."""
    own = []
    if args.puzzle is not None:
        given, many = read_given(args.puzzle, task)
        if given.format != "text":
            tell_format(given, type(task).__name__)
        for i, puzzle in enumerate(given.puzzles.puzzle, start=1):
            own.append(own_case(task, puzzle, f"your puzzle {i}" if many else "your puzzle"))
    return itertools.chain(own, random_cases(task, args.seed))


def random_cases(task: Task, seed: int) -> Iterator[Case]:
    """Test puzzles without end, drawn with `seed`."""
    puzzles = task.dataset("test")
    rng = np.random.default_rng(seed)
    while True:
        i = int(rng.integers(len(puzzles.puzzle)))
        puzzle, solution = (np.asarray(board[i]).astype(np.int64) for board in puzzles[:2])
        identity = None if puzzles.identity is None else int(puzzles.identity[i])
        yield Case(f"test puzzle {i + 1}", puzzle, solution, identity)


def _task(env_id: str, checkpoint: str) -> Task:
    """The family, with the puzzles that the agent was trained on where it makes a difference."""
    if checkpoint == "pretrained":
        return make_task(env_id)
    from hrm_gym.agents.saved.load import load_task

    return load_task(env_id, checkpoint)


class Thinker:
    """An agent as something that thinks about one puzzle.

    Args:
        policy: on its device.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.asked = tuple(policy.halting.worded(dict.fromkeys(policy.halting.signals)))
        """What its halting rule reads, as the window calls it."""

    def __call__(self, case: Case, max_segments: int) -> Iterator[Step]:
        """One step a segment."""
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
            )


def load(env_id: str, checkpoint: str, device: str, boards: int = 0) -> Think:
    """The agent of a checkpoint as something that thinks about one puzzle, on so many boards side by side.

    Raises:
        HrmGymError: where there is no such agent, or it cannot think about several boards.
    """
    from hrm_gym.agents.inference.loading import load_guessing

    return Thinker(load_guessing(env_id, checkpoint, device, boards)[0])


def default_env(checkpoint: str) -> str:
    """The one that the checkpoint was trained on, or the hardest one with a shipped agent.

    Ids are registered from easy to hard.
    """
    from hrm_gym.agents.saved.load import trained_env
    from hrm_gym.agents.saved.sources import PRETRAINED

    if checkpoint != "pretrained":
        return trained_env(checkpoint)
    for env_id in reversed(task_ids()):
        if (PRETRAINED / f"{env_id}.safetensors").is_file():
            return env_id
    raise HrmGymError("no agent is shipped: train one with train_agent.py, then give --env and --checkpoint")
