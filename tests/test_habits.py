"""What is checked before a commit is what CI checks, and what tools leave behind can be removed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / ".pre-commit-config.yaml"
HOOKS = [
    hook
    for repository in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repos"]
    for hook in repository["hooks"]
]


def planned(target: str) -> list[str]:
    """The commands that make would run for a target, once the environment is ready."""
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.ready", target]
    # A make that started this would have its own flags read here.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    return made.stdout.splitlines()


def test_hooks_run_the_commands_of_ci_and_all_that_run_no_test():
    entries = [hook["entry"].split() for hook in HOOKS]
    assert {(words[0], words[1], len(words)) for words in entries} == {
        ("make", "--no-print-directory", 3)
    }
    hooked = [command for words in entries for command in planned(words[-1])]
    tools = [command for command in planned("ci") if command.startswith(".venv/bin/")]
    checks = [one for one in tools if not one.startswith(".venv/bin/python ")]
    assert hooked == checks
    assert {one.split()[0].rpartition("/")[2] for one in hooked} == {"ruff", "mypy"}


def test_hooks_take_nothing_from_elsewhere_and_check_all():
    wanted = {"language": "system", "pass_filenames": False, "always_run": True}
    for hook in HOOKS:
        assert {word: hook.get(word) for word in wanted} == wanted


def git(folder, *words):
    program = shutil.which("git")
    assert program, "git is needed for a test of its hooks"
    names = {"HOME": str(folder), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
    person = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    return subprocess.run(
        [program, *person, *words],
        cwd=folder,
        env=names,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("failing", [None, *(hook["id"] for hook in HOOKS)])
def test_a_commit_that_ci_would_refuse_is_refused(tmp_path, failing):
    git(tmp_path, "init", "-q")
    shutil.copy(CONFIG, tmp_path)
    (tmp_path / "Makefile").write_text(f"%:\n\t@test $@ != {failing} && touch $@.ran\n")
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "install"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
    )
    git(tmp_path, "add", "--all")
    done = git(tmp_path, "commit", "-m", "x")
    assert (done.returncode == 0) == (failing is None), done.stderr
    assert bool(git(tmp_path, "log").stdout) == (failing is None)
    ran = {path.stem for path in tmp_path.glob("*.ran")}
    assert ran == {hook["id"] for hook in HOOKS} - {failing}


def test_ci_is_one_command():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make ci"]


def test_clean_removes_all_that_git_is_told_to_ignore():
    removed = {word.rstrip("/") for command in planned("clean") for word in command.split()}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert [name for name in ignored if name.rstrip("/") not in removed] == []
