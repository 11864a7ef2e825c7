"""The manual pages that are written by hand have the options that the programs take, and no other."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ["BERTH_BUILD"])
COMMON = {"--help", "--version"}


def options_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)) - COMMON


@pytest.mark.parametrize("program,page,commands", [
    ("src/manager/berth-manager", "berth-manager.8", [[]]),
    ("src/agent/berth-agent", "berth-agent.8", [[]]),
    ("src/keep/berth-keep", "berth-keep.8", [[]]),
    ("src/sim/berth-sim", "berth-sim.1",
     [[], *([word] for word in ("faults", "reassign", "replay", "bench"))])])
def test_page_and_help_agree(program, page, commands):
    told = set()
    for command in commands:
        done = subprocess.run([BUILD / program, *command, "--help"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and done.stderr == "", done
        told |= options_in(done.stdout)
    text = re.sub(r"\\f[BIR]", " ", (ROOT / "man" / page).read_text().replace("\\-", "-"))
    assert told and told <= options_in(text), told - options_in(text)
    written = options_in("\n".join(line for line in text.splitlines() if re.match(r"\.(RB?|BI?|RI) | --", line)))
    assert written <= told, written - told
