"""What berth-sim says to wrong command lines and files, before it begins what takes long."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", pathlib.Path(__file__).parents[2] / "build"))
HOSTS = "cpu_milli,memory_mib,gpu,model\n8000,16384,1,A100\n"
TRACE = "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time,deletion_time\n1000,1024,1,500,,0,9\n"


def sim(directory, line):
    return subprocess.run([BUILD / "src/sim/berth-sim", *line.split()], cwd=directory, capture_output=True, text=True, timeout=60)


@pytest.fixture
def files(tmp_path):
    for name, text in (("hosts.csv", HOSTS), ("trace.csv", TRACE), ("empty.yaml", "# nothing\n"), ("wrong.yaml", "name: a\nstate:\n  hsots: []\n")):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("line, says", [
    ("bench --hosts 0", "(--hosts: '0'); a whole number from 1 to 1048576"),
    ("bench --pairs -1", "(--pairs: '-1')"),
    ("bench --mode Q", "(--mode: 'Q'); S or R"),
    ("bench --policy nope", "(--policy: 'nope'); one of most-free"),
    ("reassign --model m --initial a --out nowhere/o.txt", "(--out: 'nowhere/o.txt'); give a path"),
    ("replay --hosts hosts.csv --trace trace.csv --policy first-fit --svg nowhere/c.svg", "(--svg: 'nowhere/c.svg')"),
    ("replay --hosts hosts.csv --trace trace.csv --policy first-fit --svg .", "this is a directory (--svg: '.')"),
    ("nonsense", "there is no command 'nonsense'"),
    ("run empty.yaml", "empty.yaml:1:1: there is no scenario in the file"),
    ("run wrong.yaml", "wrong.yaml:3:3: "),
])
def test_what_is_wrong_is_named(files, line, says):
    done = sim(files, line)
    assert done.returncode == 2 and says in done.stdout + done.stderr, done


def test_a_chart(files):
    done = sim(files, "replay --hosts hosts.csv --trace trace.csv --policy best-fit --svg chart.svg")
    assert done.returncode == 0 and "best-fit is taken for most-free" in done.stderr, done
    assert (files / "chart.svg").read_text().startswith("<svg")
