"""The choices that recipes differ by: each does what it says, and what is off changes nothing."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from hrm_gym.agents import build_reasoner, evaluate
from hrm_gym.agents.halting.policy import minimum_segments
from hrm_gym.agents.models.layers import SwiGLU, TokenMixing, swiglu_width
from hrm_gym.agents.registry import AGENTS, defaults
from hrm_gym.agents.training import checkpoint as checkpoints
from hrm_gym.agents.training.config import Config
from hrm_gym.agents.training.flops import Meter, measured_peak, segment_flops, step_flops
from hrm_gym.agents.training.losses import answer_loss, stablemax_log_probabilities
from hrm_gym.agents.training.optimizers import make_optimizer
from hrm_gym.agents.training.trainer import Trainer
from hrm_gym.cli import main
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

SMALL = Config(
    env="Sudoku4x4-v0",
    agent="hrm",
    device="cpu",
    dtype="float32",
    hidden_size=16,
    num_heads=2,
    h_layers=1,
    l_layers=1,
    num_envs=8,
    max_segments=3,
    max_steps=100,
)


def small(**fields) -> Config:
    return dataclasses.replace(SMALL, **fields)


# ---- the baseline that does not think --------------------------------------------------------------------


@pytest.mark.parametrize("mixer", ["attention", "tokens", "convolution"])
def test_the_direct_answer_depends_on_the_puzzle_alone(mixer):
    config = small(agent="direct", mixer=mixer, positions="rope" if mixer == "attention" else "none")
    model = build_reasoner(config, 5, (4, 4))
    torch.nn.init.normal_(model.q_head.weight)  # it starts at zero, and then the Q values say nothing
    obs = {"puzzle": torch.randint(0, 5, (3, 16))}
    carry, first = model(model.initial_carry(3), obs)
    for other in (carry, model.initial_carry(3, noise=2.0)):
        _, again = model(other, obs)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    _, changed = model(carry, {"puzzle": (obs["puzzle"] + 1) % 5})
    assert not torch.equal(first.logits, changed.logits) and not torch.equal(first.q_halt, changed.q_halt)


def test_the_baseline_has_the_parameters_of_hrm_and_answers_once():
    hrm, direct = (defaults("Sudoku9x9-v0", agent, "auto", "cpu") for agent in ("hrm", "direct"))
    assert build_reasoner(hrm, 10, (9, 9)).num_parameters == build_reasoner(direct, 10, (9, 9)).num_parameters
    assert direct.max_segments == 1
    with pytest.raises(HrmGymError, match="at least 2"):
        small(max_segments=1)
    generator, device = torch.Generator(), torch.device("cpu")
    assert (minimum_segments(dataclasses.replace(direct, exploration=1.0), 9, generator, device) == 1).all()


def test_every_step_of_the_baseline_sees_fresh_puzzles_and_it_learns():
    trainer = Trainer(small(agent="direct", max_segments=1, halting="halt_only", lr=5e-3, warmup_steps=1))
    losses = []
    for _ in range(60):
        before = trainer.obs["puzzle"].clone()
        losses.append(float(trainer.train_segment()["answer_loss"]))
        assert not (before == trainer.obs["puzzle"]).all(-1).any()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    result = evaluate(trainer.averaged_agent(), trainer.task, trainer.task.dataset("test"), max_segments=4)
    assert len(set(result.right_after.tolist())) == 1 and (result.residual[:10] == 0).all()


def test_the_baseline_is_trained_evaluated_and_played(tmp_path, capsys):
    arguments = ["--env", "Sudoku4x4-v0", "--agent", "direct", "--hidden-size", "16", "--max-minutes", "0"]
    arguments += ["--max-steps", "4", "--num-envs", "8", "--test-puzzles", "8", "--device", "cpu"]
    assert main(["train", *arguments, "--run-dir", str(tmp_path)]) == 0
    assert "GFLOP a step" in capsys.readouterr().out
    assert json.loads((tmp_path / "result.json").read_text())["mean_segments"] == 1
    source = ["--env", "Sudoku4x4-v0", "--checkpoint", str(tmp_path), "--device", "cpu"]
    assert main(["evaluate", *source, "--limit", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_puzzles"] == 8
    assert main(["play", *source, "--headless", "--max-segments", "2"]) == 0


# ---- optimizer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("mixer", ["tokens", "convolution"])
def test_muon_has_the_matrices_of_the_blocks_and_adamw_the_rest(agent, mixer):
    model = build_reasoner(small(agent=agent, mixer=mixer, optimizer="muon", num_puzzles=3), 5, (4, 4))
    names = {p: name for name, p in model.named_parameters()}
    muon, adamw = ({names[p] for p in g["params"]} for g in make_optimizer(model.config, model).param_groups)
    assert muon == {name for name in names.values() if ".layers." in name and "kernel" not in name}
    assert muon | adamw == set(names.values()) - {"embed_puzzle.weight"} and not muon & adamw
    assert {"lm_head.weight", "embed_tokens.weight", "q_head.weight", "q_head.bias"} <= adamw


def test_muon_turns_every_direction_of_a_matrix_equally_far():
    config = small(optimizer="muon", muon_lr=0.02, weight_decay=0.5)
    trainer = Trainer(config)
    group = trainer.optimizer.param_groups[0]
    before = [p.detach().clone() for p in group["params"]]
    trainer.train_segment()
    rate = group["lr"]
    assert rate == pytest.approx(config.muon_lr / config.warmup_steps)  # the schedule of lr, from its own height
    assert trainer.optimizer.param_groups[1]["lr"] == pytest.approx(config.lr / config.warmup_steps)
    for old, p in zip(before, group["params"], strict=True):
        # The rate is larger where the matrix is taller than wide (Muon's own rule).
        step = (old * (1 - rate * group["weight_decay"]) - p) / (rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)
        assert p.grad is not None
        raw = torch.linalg.svdvals(p.grad)
        turned = torch.linalg.svdvals(step)[raw > 1e-2 * raw.max()]  # five iterations leave the smallest behind
        assert turned.min() > 0.4 and turned.max() < 1.3, p.shape
        assert len(turned) > 1 and raw.max() / raw[raw > 1e-2 * raw.max()].min() > 3 * turned.max() / turned.min()


def test_under_muon_all_weights_decay_alike():
    config = small(optimizer="muon", lr=0.01, weight_decay=2.0)
    model = build_reasoner(config, 5, (4, 4))
    optimizer = make_optimizer(config, model)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for old, p in zip(before, model.parameters(), strict=True):
        assert torch.allclose(p, old * 0.98)


@pytest.mark.parametrize(
    "fields", [{"optimizer": "muon"}, {"initial_noise": 0.7}, {"agent": "direct", "max_segments": 1}], ids=str
)
def test_resuming_is_bit_for_bit(fields, tmp_path):
    config = small(**fields)
    whole, part = Trainer(config), Trainer(config)
    for _ in range(4):
        whole.train_segment()
        part.train_segment()
    checkpoints.save(tmp_path / "a.safetensors", part.snapshot())
    resumed = Trainer(config, checkpoints.load(tmp_path / "a.safetensors"))
    for _ in range(4):
        whole.train_segment()
        resumed.train_segment()
    ours, theirs = resumed.snapshot().tensors, whole.snapshot().tensors
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


# ---- network and loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [SwiGLU, TokenMixing])
def test_a_normed_swiglu_keeps_its_size_however_large_the_weights_grow(layer):
    x = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    for normed in (True, False):
        module = layer(8, 4.0, 4, normed)
        before = module(x)
        with torch.no_grad():
            module.gate_up.weight.chunk(2)[1].mul_(50.0)  # the half that is not the gate
        after = module(x)
        assert (
            torch.allclose(after, before if normed else 50 * before, rtol=1e-3, atol=1e-3) and after.abs().max() > 0.1
        )


def test_a_normed_swiglu_is_its_definition_along_the_features():
    x = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    mlp, mixing = SwiGLU(8, 4.0, 4, normed=True), TokenMixing(8, 4.0, 4, normed=True)
    mixing.load_state_dict(mlp.state_dict())
    gate, up = (x @ mlp.gate_up.weight.T).chunk(2, dim=-1)
    product = gate * up
    inner = gate.sigmoid() * product / (product.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert torch.allclose(mlp(x), inner @ mlp.down.weight.T, atol=1e-5)
    assert torch.allclose(mixing(x.transpose(1, 2)), mlp(x).transpose(1, 2), atol=1e-5)


@pytest.mark.parametrize("kind", ["softmax", "stablemax"])
def test_label_smoothing_is_the_cross_entropy_of_the_smoothed_label(kind):
    logits = 3 * torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0))
    solution = torch.tensor([[1, 2, 3, 4, 0, 0], [0, 1, 0, 1, 2, 2], [4, 4, 4, 1, 0, 0]])
    label = 0.8 * F.one_hot(solution, 5) + 0.2 / 5
    log_p = logits.log_softmax(-1) if kind == "softmax" else stablemax_log_probabilities(logits).float()
    expected = -(label * log_p).sum(-1)
    loss = answer_loss(logits, solution, kind, smoothing=0.2)
    assert torch.allclose(loss.float(), expected.mean(-1), atol=1e-5)
    if kind == "softmax":
        torchs = F.cross_entropy(logits.flatten(0, 1), solution.flatten(), label_smoothing=0.2)
        assert torch.allclose(loss.mean(), torchs)
    counts = solution != 0
    padded = answer_loss(logits, solution, kind, padding=0, smoothing=0.2)
    assert torch.allclose(padded.float(), (expected * counts).sum(-1) / counts.sum(-1), atol=1e-5)
    assert torch.equal(answer_loss(logits, solution, kind, smoothing=0.0), answer_loss(logits, solution, kind))


def test_the_trainer_learns_from_smoothed_labels():
    plain, smoothed = (Trainer(small(label_smoothing=s)).train_segment()["answer_loss"] for s in (0.0, 0.5))
    assert plain != smoothed


# ---- noisy initial states --------------------------------------------------------------------------------


def test_noise_reaches_fresh_slots_only():
    model = build_reasoner(SMALL, 5, (4, 4))
    carry, _ = model(model.initial_carry(3), {"puzzle": torch.ones(3, 16, dtype=torch.long)})
    done = torch.tensor([True, False, True])
    after = model.reset(carry, done, model.initial_carry(3, 0.5, torch.Generator().manual_seed(0)))
    for new, old, init in zip(after, carry, (model.h_init, model.l_init), strict=True):
        assert torch.equal(new[1], old[1])
        noise = new[done] - init
        assert noise.std() == pytest.approx(0.5, rel=0.1) and not torch.equal(noise[0], noise[1])


def test_training_draws_the_noise_from_its_own_generator_and_none_without():
    quiet, noisy = Trainer(SMALL), Trainer(small(initial_noise=0.5))
    assert torch.equal(quiet.generator.get_state(), torch.Generator().manual_seed(SMALL.seed).get_state())
    assert torch.equal(quiet.carry.z_h, quiet.agent.initial_carry(8).z_h)
    assert (noisy.carry.z_h - noisy.agent.h_init).std() == pytest.approx(0.5, rel=0.1)
    for _ in range(SMALL.max_segments):  # by then every slot has been refilled
        noisy.train_segment()
    assert (noisy.obs["segment"] == 0).any()
    fresh = noisy.carry.z_h[noisy.obs["segment"] == 0]
    assert (fresh - noisy.agent.h_init).std() == pytest.approx(0.5, rel=0.1)


# ---- arithmetic ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixer", ["attention", "tokens", "convolution"])
def test_operations_are_those_counted_by_hand(mixer):
    config = small(agent="direct", mixer=mixer, halting="halt_only", max_segments=1, num_envs=7)
    agent = build_reasoner(config, 5, (4, 4))
    cells, positions, size = 16, 17, config.hidden_size
    inner, inner_tokens = (swiglu_width(n, config.expansion, config.mlp_multiple) for n in (size, positions))
    mixing = {
        "attention": 4 * positions * size * size + 2 * positions * positions * size,  # qkv and out; scores and sums
        "tokens": 3 * positions * inner_tokens * size,
        "convolution": 3 * positions * size * size + 9 * cells * size,
    }[mixer]
    block = mixing + 3 * positions * size * inner
    heads = positions * size * 5 + size * 2
    forward = 2 * (2 * block + heads)  # two blocks; a multiply-add is two operations
    assert segment_flops(agent) == forward
    assert segment_flops(agent, backward=True) == 3 * forward
    assert step_flops(agent) == 7 * 3 * forward


def test_a_step_counts_the_cycles_and_the_pass_for_the_target():
    agents = {target: build_reasoner(small(halt_target=target), 5, (4, 4)) for target in ("extra_pass", "monte_carlo")}
    forward = segment_flops(agents["extra_pass"])
    assert step_flops(agents["extra_pass"]) - step_flops(agents["monte_carlo"]) == SMALL.num_envs * forward
    deeper = build_reasoner(small(l_cycles=4), 5, (4, 4))
    assert 1.5 * forward < segment_flops(deeper) < 2 * forward


def test_the_meter_gives_rates_and_leaves_the_run_alone():
    agent = build_reasoner(SMALL, 5, (4, 4))
    state = torch.get_rng_state()
    meter = Meter(agent, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in agent.parameters())
    assert meter.figures(steps=10, seconds=2.0) == {"tflops_per_second": pytest.approx(5 * meter.flops / 1e12)}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_has_a_peak():
    assert measured_peak(torch.device("cuda")) > 1e12


# ---- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ({"initial_noise": -1.0}, "initial_noise is -1.0"),
        ({"muon_lr": 0.0}, "muon_lr is 0.0"),
        ({"muon_momentum": 1.0}, "muon_momentum is 1.0"),
        ({"optimizer": "moun"}, "unknown optimizer 'moun': did you mean 'muon'"),
        ({"mixer": "token"}, "did you mean 'tokens'"),
    ],
)
def test_configuration_refuses(fields, message):
    with pytest.raises(HrmGymError, match=message):
        Config(**fields)


def test_depth_at_test_may_exceed_that_in_training():
    agent = build_reasoner(small(max_segments=2), 5, (4, 4)).eval()
    task = make_task("Sudoku4x4-v0")
    result = evaluate(agent, task, task.dataset("test").map(lambda a: a[:4]), max_segments=40)
    assert (result.segments == 40).all() and len(result.right_after) == 40


# ---- the presets for a GPU -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "preset"), [("Sudoku4x4-v0", "gpu"), ("MazeSmall-v0", "gpu_local"), ("Sudoku4x4-v0", "paper")]
)
def test_the_presets_of_a_gpu_learn_at_a_small_size_on_a_processor(env, preset):
    sizes = {"hidden_size": 32, "num_heads": 2, "h_cycles": 2, "l_cycles": 2, "num_envs": 8, "max_segments": 2}
    budget = {"warmup_steps": 2, "lr": 1e-3, "max_steps": 1000, "compile": False}
    config = dataclasses.replace(defaults(env, "auto", preset, "cpu"), **sizes, **budget)
    trainer = Trainer(config)
    losses = [float(trainer.train_segment()["answer_loss"]) for _ in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_gradients_are_clipped_to_the_norm_that_is_asked_for():
    trainer = Trainer(small(clip=1e-3))
    trainer.train_segment()
    norms = torch.stack([p.grad.norm() for p in trainer.agent.parameters() if p.grad is not None])
    assert norms.norm() == pytest.approx(1e-3, rel=0.01)


def test_training_without_symmetries_shows_the_puzzles_as_they_are():
    trainer = Trainer(small(env="Sudoku4x4-v0", augment=False, num_examples=5))
    shown = {row.numpy().tobytes() for row in trainer.obs["puzzle"]}
    known = {row.tobytes() for row in trainer.task.dataset("train").puzzle[:5].astype("int64")}
    assert shown <= known
