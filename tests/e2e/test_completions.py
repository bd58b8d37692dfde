"""What TAB does, in real shells on a real terminal: in nested commands, for options and for their values."""

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import termios
import time
from pathlib import Path

import pytest
from lambda_runtime import bootstrap

PROGRAM = bootstrap().with_name("eks-sg-guard")
# What a shell draws around what it says.
DRAWING = re.compile(r"\x1b\[[0-9;?>=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\r\x07]")

# How each is started with nobody's own settings, and told where the script is.
SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "source {script}; bind 'set show-all-if-ambiguous on'; PS1='rea''dy> '",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; PROMPT='rea''dy> '; unsetopt auto_menu",
    ),
    "fish": (["fish", "--no-config", "-i"], "source {script}; function fish_prompt; echo 'rea''dy> '; end"),
}

# What is typed before TAB, and words that must be offered or filled in, and some that must not.
TYPED = [
    pytest.param("po", ["policy"], [], id="a command"),
    pytest.param("policy ", ["check", "explain", "init", "schema"], ["completions"], id="commands below another"),
    pytest.param("policy che", ["policy check"], [], id="a command below another"),
    pytest.param("notice pre", ["notice preview"], [], id="the only command below another"),
    pytest.param("policy check --for", ["--format"], [], id="an option below the first level"),
    pytest.param("policy check --format ", ["text", "json"], ["sarif"], id="values below the first level"),
    pytest.param("explain --role no", ["node"], [], id="a value"),
    pytest.param("explain --role remote-", ["remote-access"], [], id="a value with a hyphen"),
    pytest.param("policy diff --snap", ["--snapshot"], [], id="an option of one command"),
    pytest.param("completions power", ["powershell"], [], id="a value of an argument"),
]


class Terminal:
    """A shell in a terminal, in an empty folder."""

    def __init__(self, shell: str, folder: Path):
        command, setup = SHELLS[shell]
        ours, theirs = pty.openpty()
        home = folder / "home"
        home.mkdir(exist_ok=True)
        bin_folder = folder / "bin"
        bin_folder.mkdir(exist_ok=True)
        (bin_folder / PROGRAM.name).symlink_to(PROGRAM)
        environment = {
            **{name: os.environ[name] for name in ("LD_LIBRARY_PATH", "FPATH", "MODULE_PATH") if name in os.environ},
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "HOME": str(home),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
        }
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=home,
            start_new_session=True,
            # Shells want the terminal for themselves.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.terminal = ours
        name = {"zsh": f"_{PROGRAM.name}"}.get(shell, "script")
        script = folder / name
        script.write_bytes(subprocess.run([PROGRAM, "completions", shell], capture_output=True, check=True).stdout)
        self.type(setup.format(script=script, folder=folder) + "\n")
        # What is typed is shown too, but the prompt is written there in two parts.
        self.until("ready> ", 30)

    def type(self, text: str):
        os.write(self.terminal, text.encode())

    def read(self, seconds: float) -> str:
        said = b""
        while select.select([self.terminal], [], [], seconds)[0]:
            try:
                piece = os.read(self.terminal, 65536)
            except OSError:
                break
            # Some shells ask what terminal it is, and wait.
            if b"\x1b[c" in piece:
                os.write(self.terminal, b"\x1b[?1;2c")
            if b"\x1b[6n" in piece:
                os.write(self.terminal, b"\x1b[1;1R")
            said += piece
        return DRAWING.sub("", said.decode(errors="replace"))

    def until(self, text: str, seconds: float) -> str:
        said, end = "", time.monotonic() + seconds
        while time.monotonic() < end:
            said += self.read(0.3)
            if text in said:
                return said
        raise AssertionError(f"the shell did not say {text!r}: {said!r}")

    def after_tab(self, typed: str, expected: list[str]) -> str:
        """What is said once TAB is pressed, twice: where nothing can be filled in, some shells list at the second."""
        self.type(f"{PROGRAM.name} {typed}")
        self.read(0.5)
        said, end = "", time.monotonic() + 10
        self.type("\t\t")
        while time.monotonic() < end and not all(word in said for word in expected):
            said += self.read(0.5)
        return said

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("typed", "offered", "not_offered"), TYPED)
def test_tab_offers_what_can_follow(tmp_path, shell, typed, offered, not_offered):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")
    # What is left to be filled in of the word that is typed already.
    last = typed.split(" ")[-1]
    parts = [word.removeprefix(typed) if word.startswith(typed) else word.removeprefix(last) for word in offered]
    terminal = Terminal(shell, tmp_path)
    try:
        said = terminal.after_tab(typed, parts)
    finally:
        terminal.close()
    assert all(part in said for part in parts), said
    assert not any(word in said for word in not_offered), said
