"""The choices that recipes differ by: each does what it says, and what is off changes nothing."""

import dataclasses
import gc
import json

import pytest
import torch
import torch.nn.functional as F
from loop import Loop, tiny

from hrm_gym.agents import Protocol, TaskSpec, evaluate
from hrm_gym.agents import state as nests
from hrm_gym.agents.inference.think import boards_of, observation
from hrm_gym.agents.models.layers import SwiGLU, TokenMixing, swiglu_width
from hrm_gym.agents.policy import Policy, stablemax_log_probabilities
from hrm_gym.agents.registry import agent_class
from hrm_gym.agents.saved import checkpoint as checkpoints
from hrm_gym.agents.saved.build import build
from hrm_gym.agents.saved.presets import choose_preset, resolve
from hrm_gym.agents.training.flops import Meter, measured_peak, segment_flops, step_flops
from hrm_gym.agents.training.losses import answer_loss
from hrm_gym.agents.training.optimizers import make_optimizer
from hrm_gym.cli import main
from hrm_gym.envs.registration import make_task
from hrm_gym.errors import HrmGymError

SPEC = TaskSpec.of(make_task("Sudoku4x4-v0"))
BOARD = ("hrm", "trm", "direct")
OBS = {"puzzle": torch.ones(1, 16, dtype=torch.long)}


def small(spec=SPEC, **options):
    return build(tiny(**options), spec)


# ---- the baseline that does not think --------------------------------------------------------------------


@pytest.mark.parametrize("mixer", ["attention", "tokens", "convolution"])
def test_the_direct_answer_depends_on_the_puzzle_alone(mixer):
    positions = "rope" if mixer == "attention" else "none"
    policy = small(agent="direct", mixer=mixer, positions=positions, halting="q_learning")
    torch.nn.init.normal_(policy.halting.head.weight)  # it starts at zero, and then the Q values say nothing
    obs = {"puzzle": torch.randint(0, 5, (3, 16))}
    state, first, values = policy(policy.initial_state(3), obs)
    noisy = nests.perturb(policy.initial_state(3), 2.0, torch.Generator())
    for other in (state, noisy):
        _, again, same = policy(other, obs)
        assert torch.equal(first.logits, again.logits) and torch.equal(first.features, again.features)
        assert all(torch.equal(values[name], same[name]) for name in values)
    _, changed, others = policy(state, {"puzzle": (obs["puzzle"] + 1) % 5})
    assert not torch.equal(first.logits, changed.logits) and not torch.equal(values["q_halt"], others["q_halt"])


def test_the_baseline_has_the_parameters_of_hrm_and_answers_once():
    board = make_task("Sudoku9x9-v0")
    hrm, direct = (
        resolve({"env": "Sudoku9x9-v0", "agent": agent, "halting": "q_learning", "device": "cpu"})
        for agent in ("hrm", "direct")
    )
    sizes = [build(config, TaskSpec.of(board)).num_parameters for config in (hrm, direct)]
    assert sizes[0] == sizes[1]
    assert direct.max_segments == 1
    rule = small(agent="direct", max_segments=1, exploration=1.0).halting
    rule.begin(9, 1, torch.device("cpu"))
    certain = {"q_halt": torch.ones(9)}
    assert rule.explore(certain, torch.ones(9, dtype=torch.long), torch.rand(9, 2)).all()


@pytest.mark.slow
def test_every_step_of_the_baseline_sees_fresh_puzzles_and_it_learns():
    loop = Loop(tiny(agent="direct", max_segments=1, halting="classifier", lr=5e-3, warmup_steps=1))
    losses = []
    for _ in range(60):
        before = loop.obs["puzzle"].clone()
        losses.append(float(loop.step()["answer_loss"]))
        assert not (before == loop.obs["puzzle"]).all(-1).any()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    task, policy = loop.trainer.task, loop.trainer.learner.average.policy
    result = evaluate(policy, task, task.dataset("test"), Protocol(halting="fixed", max_segments=4))
    assert len(set(result.after.tolist())) == 1 and (result.residual[:10] == 0).all()


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


@pytest.mark.parametrize("agent", BOARD)
@pytest.mark.parametrize("mixer", ["tokens", "convolution"])
def test_muon_has_the_matrices_of_the_blocks_and_adamw_the_rest(agent, mixer):
    config = tiny(agent=agent, mixer=mixer, optimizer="muon")
    policy = build(config, TaskSpec(4, 4, 5, num_identities=3))
    names = {p: name for name, p in policy.named_parameters()}
    muon, adamw = ({names[p] for p in g["params"]} for g in make_optimizer(config, policy).param_groups)
    assert muon == {name for name in names.values() if ".layers." in name and "kernel" not in name}
    assert muon | adamw == set(names.values()) - {"agent.embed_puzzle.weight"} and not muon & adamw
    assert {"agent.lm_head.weight", "agent.embed_tokens.weight", "halting.head.weight", "halting.head.bias"} <= adamw


def test_muon_needs_matrices():
    with pytest.raises(HrmGymError, match="no matrices for it: give --optimizer adamw"):
        Loop(tiny(env="Walk-v0", agent="tem", optimizer="muon"))


def test_muon_turns_every_direction_of_a_matrix_equally_far():
    config = tiny(optimizer="muon", muon_lr=0.02, weight_decay=0.5)
    loop = Loop(config)
    groups = loop.trainer.learner._optimizer.param_groups
    group = groups[0]
    before = [p.detach().clone() for p in group["params"]]
    loop.step()
    rate = group["lr"]
    assert rate == pytest.approx(config.muon_lr / config.warmup_steps)  # the schedule of lr, from its own height
    assert groups[1]["lr"] == pytest.approx(config.lr / config.warmup_steps)
    for old, p in zip(before, group["params"], strict=True):
        # The rate is larger where the matrix is taller than wide (Muon's own rule).
        step = (old * (1 - rate * group["weight_decay"]) - p) / (rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)
        assert p.grad is not None
        raw = torch.linalg.svdvals(p.grad)
        turned = torch.linalg.svdvals(step)[raw > 1e-2 * raw.max()]  # five iterations leave the smallest behind
        assert turned.min() > 0.4 and turned.max() < 1.3, p.shape
        assert len(turned) > 1 and raw.max() / raw[raw > 1e-2 * raw.max()].min() > 3 * turned.max() / turned.min()


def test_under_muon_all_weights_decay_alike():
    config = tiny(optimizer="muon", lr=0.01, weight_decay=2.0)
    policy = build(config, SPEC)
    optimizer = make_optimizer(config, policy)
    before = [p.detach().clone() for p in policy.parameters()]
    for p in policy.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for old, p in zip(before, policy.parameters(), strict=True):
        assert torch.allclose(p, old * 0.98)


@pytest.mark.parametrize(
    "fields", [{"optimizer": "muon"}, {"initial_noise": 0.7}, {"agent": "direct", "max_segments": 1}], ids=str
)
def test_resuming_is_bit_for_bit(fields, tmp_path):
    config = tiny(**fields)
    whole, part = Loop(config), Loop(config)
    for _ in range(4):
        whole.step()
        part.step()
    checkpoints.save(tmp_path / "a.safetensors", part.snapshot())
    resumed = Loop(config, checkpoints.load(tmp_path / "a.safetensors"))
    for _ in range(4):
        whole.step()
        resumed.step()
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
    plain, smoothed = (Loop(tiny(label_smoothing=s)).step()["answer_loss"] for s in (0.0, 0.5))
    assert plain != smoothed


# ---- noisy initial states --------------------------------------------------------------------------------


def test_noise_reaches_fresh_slots_only():
    policy = small()
    state, *_ = policy(policy.initial_state(3), {"puzzle": torch.ones(3, 16, dtype=torch.long)})
    done = torch.tensor([True, False, True])
    fresh = nests.perturb(policy.initial_state(3), 0.5, torch.Generator().manual_seed(0))
    after = nests.detach(nests.select(done, fresh, state))
    for new, old, init in zip(after, state, (policy.agent.h_init, policy.agent.l_init), strict=True):
        assert torch.equal(new[1], old[1])
        noise = new[done] - init
        assert noise.std() == pytest.approx(0.5, rel=0.1) and not torch.equal(noise[0], noise[1])


def test_training_draws_the_noise_from_its_own_generator_and_none_without():
    quiet, noisy = Loop(tiny()), Loop(tiny(initial_noise=0.5))
    untouched, drawn = (loop.trainer.generator for loop in (quiet, noisy))
    again = torch.Generator().manual_seed(untouched.initial_seed())
    assert torch.equal(untouched.get_state(), again.get_state())
    assert not torch.equal(drawn.get_state(), again.get_state())
    h_init = noisy.policy.agent.h_init
    assert torch.equal(quiet.state.z_h, quiet.policy.initial_state(8).z_h)
    assert (noisy.state.z_h - h_init).std() == pytest.approx(0.5, rel=0.1)
    for _ in range(noisy.trainer.config.max_segments):  # by then every slot has been refilled
        noisy.step()
    assert (noisy.obs["segment"] == 0).any()
    fresh = noisy.state.z_h[noisy.obs["segment"] == 0]
    assert (fresh - h_init).std() == pytest.approx(0.5, rel=0.1)


# ---- arithmetic ------------------------------------------------------------------------------------------


def networks():
    """How many policies there are in memory."""
    gc.collect()
    return sum(type(found) is Policy for found in gc.get_objects())


@pytest.mark.parametrize("mixer", ["attention", "tokens", "convolution"])
def test_operations_are_those_counted_by_hand(mixer):
    config = tiny(agent="direct", layers=2, mixer=mixer, halting="q_learning", halt_target="monte_carlo")
    policy, options = build(config, SPEC), config.agent_options
    cells, positions, size = 16, 17, options.hidden_size
    inner, inner_tokens = (swiglu_width(n, options.expansion, options.mlp_multiple) for n in (size, positions))
    mixing = {
        "attention": 4 * positions * size * size + 2 * positions * positions * size,  # qkv and out; scores and sums
        "tokens": 3 * positions * inner_tokens * size,
        "convolution": 3 * positions * size * size + 9 * cells * size,
    }[mixer]
    block = mixing + 3 * positions * size * inner
    heads = positions * size * 5 + size * 2
    forward = 2 * (2 * block + heads)  # two blocks; a multiply-add is two operations
    assert segment_flops(policy, OBS) == forward
    assert segment_flops(policy, OBS, backward=True) == 3 * forward
    assert step_flops(policy, OBS, num_envs=7) == 7 * 3 * forward


def test_a_step_counts_the_cycles_and_the_pass_for_the_target():
    policies = {target: small(halt_target=target) for target in ("extra_pass", "monte_carlo")}
    forward = segment_flops(policies["extra_pass"], OBS)
    steps = {target: step_flops(policy, OBS, num_envs=8) for target, policy in policies.items()}
    assert steps["extra_pass"] - steps["monte_carlo"] == 8 * forward
    assert 1.5 * forward < segment_flops(small(l_cycles=4), OBS) < 2 * forward


def test_the_meter_gives_rates_and_leaves_the_run_alone():
    loop = Loop(tiny())
    state = torch.get_rng_state()
    meter = Meter(loop.trainer)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in loop.policy.parameters())
    boards = boards_of(loop.trainer.task.dataset("validation").map(lambda a: a[:1]), loop.trainer.device)
    assert meter.flops == step_flops(small(), observation(boards.puzzle, None), num_envs=8)
    assert meter.figures(steps=10, seconds=2.0) == {"tflops_per_second": pytest.approx(5 * meter.flops / 1e12)}


@pytest.mark.parametrize("agent", ["latent_tokens", "trans_nar"])
def test_the_meter_leaves_alone_what_an_agent_counts_in_training(agent):
    loop = Loop(tiny(agent=agent))
    before = [buffer.clone() for buffer in loop.policy.buffers()]
    Meter(loop.trainer)
    assert all(torch.equal(buffer, old) for buffer, old in zip(loop.policy.buffers(), before, strict=True))


@pytest.mark.slow
def test_the_meter_counts_a_compiled_run_and_keeps_no_network():
    loop, ran = Loop(tiny(num_envs=1)), []

    def backend(graph, inputs):
        return lambda *tensors: ran.append(1) or graph.forward(*tensors)

    loop.policy.eval()  # as it is when it is counted, so that nothing else keeps compiled code from running
    loop.policy.agent.compile(backend=backend)
    for _ in range(2):  # before anything is compiled, and after
        num_ran, num_networks = len(ran), networks()
        gradients = [None if p.grad is None else p.grad.clone() for p in loop.policy.parameters()]
        meter = Meter(loop.trainer)
        assert meter.flops == Meter(Loop(tiny(num_envs=1)).trainer).flops
        assert len(ran) == num_ran and networks() == num_networks
        after = [p.grad for p in loop.policy.parameters()]
        assert all(a is b or torch.equal(a, b) for a, b in zip(after, gradients, strict=True))
        loop.step()
        assert len(ran) > num_ran


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
        tiny(**fields)


def test_depth_at_test_may_exceed_that_in_training():
    policy = small(max_segments=2).eval()
    task = make_task("Sudoku4x4-v0")
    protocol = Protocol(halting="fixed", max_segments=40)
    result = evaluate(policy, task, task.dataset("test").map(lambda a: a[:4]), protocol)
    assert (result.segments == 40).all() and len(result.after) == 40


# ---- the presets for a GPU -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "preset"),
    [
        ("Sudoku4x4-v0", "gpu"),
        ("Sudoku4x4-v0", "gpu_groups"),
        ("MazeSmall-v0", "gpu_local"),
        ("MazeSmall-v0", "gpu_grid"),
        ("Sudoku4x4-v0", "paper"),
    ],
)
def test_the_presets_of_a_gpu_learn_at_a_small_size_on_a_processor(env, preset):
    sizes = {"hidden_size": 32, "num_heads": 2, "h_cycles": 2, "l_cycles": 2, "num_envs": 8, "max_segments": 2}
    budget = {"warmup_steps": 2, "lr": 1e-3, "max_steps": 1000, "compile": False}
    chosen = {"env": env, "preset": preset, "device": "cpu"}
    known = {field.name for field in dataclasses.fields(agent_class(resolve(chosen).agent).Config)}
    if "num_heads" not in known:
        del sizes["num_heads"]
    loop = Loop(resolve({**chosen, **sizes, **budget}))
    losses = [float(loop.step()["answer_loss"]) for _ in range(40)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.parametrize(
    ("env", "agent", "on_gpu", "on_cpu"),
    [
        ("SudokuExtreme-v0", "auto", "gpu_groups", "sudoku"),
        ("SudokuExtreme-v0", "trm_symbols", "gpu_groups", "sudoku"),
        ("Sudoku16x16-v0", "auto", "gpu_groups", "groups"),
        ("MazeSmall-v0", "auto", "gpu_grid", "grid"),
        ("Sudoku6x6-v0", "trm_symbols", "groups_small", "groups_small"),
        ("SudokuExtreme-v0", "trm", "gpu", "medium"),
        ("MazeHard-v0", "auto", "gpu_grid", "mazes"),
        ("MazeHard-v0", "trm_grid", "gpu_grid", "mazes"),
        ("MazeHard-v0", "trm", "gpu_local", "local"),
    ],
)
def test_auto_chooses_by_the_device(env, agent, on_gpu, on_cpu):
    task = make_task(env)
    assert tuple(choose_preset(task, env, device, agent) for device in ("cuda:0", "cpu")) == (on_gpu, on_cpu)


def test_cuda_graphs_are_asked_of_the_compiler_and_every_step_is_marked(monkeypatch):
    asked, marked = [], []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: asked.append(how))
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marked.append(1))
    for graphs in (False, True):
        Loop(tiny(compile=True, cuda_graphs=graphs)).trainer.prepare()
    assert asked == [{"dynamic": False, "mode": None}, {"dynamic": False, "mode": "reduce-overhead"}]
    assert marked == [1]


def test_gradients_are_clipped_to_the_norm_that_is_asked_for():
    loop = Loop(tiny(clip=1e-3))
    loop.step()
    norms = torch.stack([p.grad.norm() for p in loop.policy.parameters() if p.grad is not None])
    assert norms.norm() == pytest.approx(1e-3, rel=0.01)


def test_training_without_symmetries_shows_the_puzzles_as_they_are():
    loop = Loop(tiny(env="Sudoku4x4-v0", augment=False, num_examples=5))
    shown = {row.numpy().tobytes() for row in loop.obs["puzzle"]}
    known = {row.tobytes() for row in loop.trainer.task.dataset("train").puzzle[:5].astype("int64")}
    assert shown <= known
