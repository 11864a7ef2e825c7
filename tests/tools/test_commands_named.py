"""The commands and options of `berth` that documents, help texts and messages name exist."""

import functools
import itertools
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
BERTH = pathlib.Path(os.environ["BERTH_BUILD"]) / "src/cli/berth"
# `$ berth …` in a document, `Example: berth …` in a help text; 'berth …' and `berth …` in a sentence.
LINE = re.compile(r"^\s*\$ (?:sudo )?berth ([^#\n|]*)|Examples?: berth ([^\"\\\n]*)", re.M)
QUOTED = re.compile(r"['`](?:sudo )?berth ([^'`\n]+)['`]")
SPOKEN = re.compile(r"[|/…<]|\bverb\b|COMMAND")  # `berth plan fit|lose|drain` is no command


@functools.cache
def help_of(words):
    return subprocess.run([BERTH, *words, "--help"], capture_output=True, text=True, timeout=20)


def found(path):
    text = path.read_text()
    for line in LINE.finditer(text):
        yield line[1] or line[2]
    for quoted in QUOTED.finditer(text):
        if not SPOKEN.search(quoted[1]):
            yield quoted[1]


FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "schema").glob("*.yaml")),
         *sorted(path for path in (ROOT / "src").rglob("*.[ch]") if "tests" not in path.parts)]


def test_commands_named_exist():
    count = 0
    for path in FILES:
        for line in found(path):
            own, _, _ = line.partition(" -- ")
            words = [word.strip(".,;:") for word in own.split()]
            verbs = tuple(itertools.takewhile(re.compile("[a-z]+").fullmatch, words[:3]))
            if not verbs:
                continue  # '%s list'
            done = help_of(verbs)
            assert done.returncode == 0, (path, line, done.stderr)
            for word in words:
                option = re.fullmatch(r"(--[a-z][a-z0-9-]*)(=.*)?", word)
                assert not option or option[1] in done.stdout, (path, line, option[1])
            count += 1
    assert count > 50, count
