"""Completion in a shell: the script is run by the shell that it is for."""

import shutil
import subprocess

import pytest

ASK = """
source "$1"
complete_of() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    "$(complete -p hrm-gym | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
    echo "${COMPREPLY[@]}"
}
complete_of hrm-gym eva
complete_of hrm-gym evaluate --hal
complete_of hrm-gym evaluate --halting ""
complete_of hrm-gym train --lr
complete_of hrm-gym play --rec
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_choices(hrm_gym, tmp_path):
    code, script, _ = hrm_gym("completion", "bash")
    assert code == 0
    path = tmp_path / "completion.sh"
    path.write_text(script)
    done = subprocess.run(["bash", "-c", ASK, "bash", str(path)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "evaluate",
        "--halting --halt-margin",
        "learned fixed",
        "--lr --lr-end",
        "--record",
    ]


def test_zsh_gets_a_script(hrm_gym):
    code, script, _ = hrm_gym("completion", "zsh")
    assert code == 0 and script.startswith("#compdef hrm-gym") and "evaluate" in script and "--halt-margin" in script


def test_an_unknown_shell_is_refused_in_one_line(hrm_gym):
    code, _, err = hrm_gym("completion", "cmd")
    assert code == 2 and "bash" in err and err.count("\n") == 1
