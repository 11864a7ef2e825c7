"""tools/check-floors against small houses: what it must refuse, in a floor's folder and in the folders within."""

import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "tools/check-floors"


def check(root, files):
    for name, text in files.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run([sys.executable, str(PROGRAM), str(root)], capture_output=True, text=True)


@pytest.mark.parametrize("folder", ["place", "place/reassign", "place/reassign/deeper"])
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('#include "cluster/model.h"', "which is above it"),
        ('#include "search.h"', "write includes from src/"),
        ("#include <unistd.h>", "floor 1 does no I/O, but includes <unistd.h>"),
        ("int64_t now = g_get_real_time();", "floor 1 does no I/O and reads no clock"),
    ],
)
def test_faults_are_found_in_every_folder(tmp_path, folder, line, complaint):
    done = check(tmp_path, {f"{folder}/broken.c": f"\n{line}\n"})
    assert done.returncode == 1
    assert f"src/{folder}/broken.c:2: " in done.stdout
    assert complaint in done.stdout


def test_a_sound_house_stands(tmp_path):
    done = check(tmp_path, {"place/reassign/sound.c": '#include "base/error.h"\n#include "place/place.h"\n#include <stdlib.h>\n'})
    assert (done.returncode, done.stdout) == (0, "check-floors: the house stands\n")


def test_tests_may_do_as_they_like(tmp_path):
    done = check(tmp_path, {"place/tests/test-place.c": "#include <unistd.h>\n"})
    assert done.returncode == 0


def test_only_the_search_of_reassignment_starts_threads(tmp_path):
    threads = "#include <pthread.h>\n"
    done = check(tmp_path, {f"place/reassign/{name}.c": threads for name in ("search", "walk")})
    assert done.returncode == 1
    assert done.stdout == "src/place/reassign/walk.c:1: floor 1 does no I/O, but includes <pthread.h>\n"
