"""The pictures of the lineage say what the agents do."""

import importlib
import re
from pathlib import Path

import pytest
import torch

from hrm_gym.agents.agent import TaskSpec
from hrm_gym.agents.registry import agent_class, agent_names
from hrm_gym.envs.registration import make_task

pytest.importorskip("matplotlib", reason="pip install 'hrm-gym[plots]'")
DOCS = Path(__file__).parent.parent / "docs"
STEPS = {  # the modules that take a step, and whose line of the score it is on
    "hrm": {"l_net": "fast state, z_L", "h_net": "slow state, z_H"},
    "trm": {"net": None},
    "direct": {"net.layers": "cells"},
    "gru": {"cell": "cells"},
    "ponder": {"cell": "cells"},
    "ut": {"block": "cells"},
    "looped": {"core": "cells"},
    "rrn": {"lstm": "cells"},
    "latent_tokens": {"net": "cells"},
    "trans_nar": {"blocks": "transformer", "looks": "transformer", "reasoner.update": "graph network"},
}


@pytest.fixture
def draw_lineage(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_site"))
    return importlib.import_module("draw_lineage")


def parts(agent, name):
    """The modules of that name: one, or those of a list."""
    found = agent.get_submodule(name)
    return list(found) if isinstance(found, torch.nn.ModuleList) else [found]


@pytest.mark.parametrize("name", STEPS)
def test_a_score_has_the_steps_that_a_segment_takes(draw_lineage, name):
    """As many, on the same lines in the same order, with a gradient where there is one."""
    torch.manual_seed(0)
    spec = TaskSpec.of(make_task("Sudoku4x4-v0"))
    agent = agent_class(name)(agent_class(name).Config(), spec)
    if name in ("latent_tokens", "trans_nar"):  # after the stages in which they learn without some of their steps
        agent.trained += 10_000
    agent.eval()
    seen = []
    for part, line in STEPS[name].items():
        for module in parts(agent, part):
            module.register_forward_hook(lambda *_, line=line: seen.append((line, torch.is_grad_enabled())))
    obs = {"puzzle": torch.zeros(2, 16, dtype=torch.long)}
    agent(agent.initial_state(2), obs)
    score = draw_lineage.scores()[name]
    lines = set(STEPS[name].values())
    drawn = [(score.rows[step.row], step.gradient) for step in score.steps]
    if lines == {None}:  # one module on all lines
        seen, drawn = [grad for _, grad in seen], [grad for _, grad in drawn]
    else:
        drawn = [step for step in drawn if step[0] in lines]
    assert seen == drawn


def test_every_agent_has_a_page_with_its_picture(draw_lineage):
    ours = {name for name in agent_names() if agent_class(name).__module__.startswith("hrm_gym.")}
    bases = {name.removesuffix("_symbols").removesuffix("_grid").removesuffix("_planes") for name in ours}
    assert set(draw_lineage.scores()) == bases
    pages = [DOCS / "lineage.md", *(DOCS / "lineage").glob("*.md")]
    shown = [name for page in pages for name in re.findall(r"!\[[^]]+\]\((?:lineage/)?(\w+)\.svg\)", page.read_text())]
    assert sorted(shown) == sorted([*bases, "legend", "tree"])
    assert {page.stem for page in pages} == {"lineage", "act", *bases}
    assert all((DOCS / "lineage" / f"{name}.svg").is_file() for name in shown)


def test_the_tree_holds_the_family(draw_lineage):
    agents = set(draw_lineage.scores()) - {"direct", "ponder"}  # a baseline, and the pair of `gru` and `pondernet`
    assert set(draw_lineage.TREE) == agents | {"act", "pondernet"}
    assert all(0 <= lane < len(draw_lineage.LANES) for _, lane in draw_lineage.TREE.values())
    for earlier, later in draw_lineage.TAKEN_UP:
        assert draw_lineage.TREE[earlier][0] < draw_lineage.TREE[later][0]


def test_all_of_them_can_be_drawn(draw_lineage, tmp_path, monkeypatch):
    monkeypatch.setattr(draw_lineage, "FOLDER", tmp_path)
    draw_lineage.main()
    for name in (*draw_lineage.scores(), "legend", "tree"):
        assert (tmp_path / f"{name}.svg").read_text().rstrip().endswith("</svg>")
