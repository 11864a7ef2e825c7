"""Exit statuses of `berth` against a real manager, and what it prints for a person."""

import json
import subprocess

import pytest

from agent import Agent
from manager import Manager


@pytest.fixture(autouse=True)
def all_there(agents, catalog):
    pass


def run(manager, status, *arguments, **environment):
    done = manager.berth(*arguments, **environment)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


def test_done(manager):
    vm = ("vm", "create", "cli", "--size", "small", "--image", "demo", "--wait=20")
    assert "cli would go to" in run(manager, 0, *vm[:-1], "--dry-run")
    run(manager, 0, *vm)
    assert json.loads(run(manager, 0, "vm", "show", "cli", "-o", "json"))["status"]["power"] == "running"
    assert "cli" in run(manager, 0, "vm", "list")
    run(manager, 0, "vm", "delete", "cli", "--wait=20")


def test_a_manifest_that_says_nothing(manager, tmp_path):
    manifest = tmp_path / "empty.yaml"
    for text in ("", "# size small\n", "---\n"):
        manifest.write_text(text)
        assert "there is nothing in the manifest" in run(manager, 2, "apply", "-f", str(manifest))


def test_a_manifest_with_a_tab(manager, tmp_path):
    manifest = tmp_path / "tab.yaml"
    manifest.write_text("kind: size\nname: tabbed\nspec:\n\tresources: {cpu: 1, memory: 64MiB}\n")
    text = run(manager, 2, "apply", "-f", str(manifest))
    assert f"{manifest}: line 4, column 1: a tab in the indentation; use spaces" in text, text
    run(manager, 3, "size", "show", "tabbed")


def test_images_that_are_none(manager, tmp_path):
    words, disk, leaning = tmp_path / "words", tmp_path / "disk", tmp_path / "leaning"
    words.write_text("not an image\n" * 100)
    disk.write_bytes(bytes(510) + b"\x55\xaa")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", leaning], check=True)
    external = tmp_path / "external"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", external, "1M"], check=True)
    for arguments, what in (
            (("--kernel", words), "neither a bzImage nor ELF"),
            (("--disk", words), "no disk that boots"),
            (("--disk", words, "--format", "qcow2"), "does not begin as a qcow2 image"),
            (("--disk", leaning), "looks like a qcow2 image"),
            (("--disk", leaning, "--format", "qcow2"), "leans on a backing file"),
            (("--disk", external, "--format", "qcow2"), "keeps its data in another file")):
        text = run(manager, 2, "image", "add", "none", *map(str, arguments))
        assert what in text and f"{arguments[0]}: '{arguments[1]}'" in text, text
    run(manager, 3, "image", "show", "none")
    run(manager, 0, "image", "add", "plain", "--disk", str(disk))
    run(manager, 0, "image", "delete", "plain")


def test_app_explain(manager):
    app = ("app", "create", "web", "--size", "small", "--image", "demo", "--count", "3")
    text = run(manager, 0, *app, "--dry-run", "--explain")
    assert "web-1 would go to" in text and "web-3 would go to" in text
    text = run(manager, 0, *app, "--explain", "--wait=20")
    assert "alpha" in text and "beta" in text and "of 3 VMs" in text, text
    text = run(manager, 0, "app", "scale", "web", "4", "--explain", "--wait=20")
    assert "chosen for 1 of 1 VMs" in text, text
    run(manager, 0, "app", "delete", "web", "--wait=20")


def test_plans_and_rules(manager, tmp_path):
    manifest = tmp_path / "app.yaml"
    manifest.write_text("kind: app\nname: planned\nspec: {size: small, image: demo, count: 2}\n")
    text = run(manager, 0, "plan", "app", "-f", str(manifest))
    assert "planned-1 would go to" in text and "of 2 VMs" in text, text
    run(manager, 3, "app", "show", "planned")
    assert "more of small" in run(manager, 0, "plan", "fit", "--size", "small", "--survive", "1")
    run(manager, 0, "rule", "create", "both-apart", "apart", "app/planned")
    assert "both-apart" in run(manager, 0, "rule", "list")
    manifest.write_text("kind: app\nname: planned\nspec: {size: small, image: demo, count: 3}\n")
    assert "rule 'both-apart'" in run(manager, 5, "plan", "app", "-f", str(manifest))
    assert "apart" in run(manager, 4, "rule", "create", "both", "together", "app/planned")
    run(manager, 0, "rule", "delete", "both-apart")
    run(manager, 0, "plan", "lose", "beta")
    run(manager, 3, "plan", "drain", "rack=none")


def test_levels(manager):
    assert run(manager, 0, "level", "list").split()[-3:] == ["its", "label", "zone"]
    assert "row" in run(manager, 0, "level", "set", "rack", "row", "zone")
    run(manager, 0, "rule", "create", "rows", "apart", "app/none", "--level", "row")
    assert "rule 'rows' speaks of the level row" in run(manager, 4, "level", "set", "rack", "zone")
    assert "one of host, rack, row and zone" in run(manager, 2, "rule", "create", "x", "apart", "app/none", "--level", "hall")
    run(manager, 0, "rule", "delete", "rows")
    run(manager, 0, "level", "set", "rack", "zone")


def test_reservations(manager):
    night = ("reservation", "create", "night", "--size", "small", "-n", "2", "--start", "+2h", "--for", "90m")
    text = run(manager, 0, *night, "--dry-run", "--explain")
    assert "would be made" in text and "chosen for" in text, text
    assert "made: room for 2 from" in run(manager, 0, *night, "--at-end", "delete", "--grace", "0")
    assert "delete" in run(manager, 0, "reservation", "show", "night")
    assert "0/2" in run(manager, 0, "reservation", "list")
    late = ("reservation", "create", "late", "--size", "small", "--deadline", "2020-01-01T00:00:00Z", "--for", "1h")
    assert "past" in run(manager, 2, *late)
    run(manager, 2, "reservation", "create", "zero", "--size", "small", "--for", "0")
    early = ("vm", "create", "early", "--size", "small", "--image", "demo", "--reservation", "night")
    assert "has not begun" in run(manager, 4, *early)
    run(manager, 2, "vm", "create", "odd", "--size", "small", "--image", "demo", "--at-end", "stop")
    run(manager, 0, "vm", "create", "brief", "--size", "small", "--image", "demo", "--for", "1h", "--wait=20")
    assert "stop" in run(manager, 0, "vm", "show", "brief")
    run(manager, 0, "vm", "delete", "brief", "--wait=20")
    run(manager, 0, "reservation", "delete", "night")


def test_a_reservation_in_a_manifest(manager, tmp_path):
    manifest = tmp_path / "night.yaml"
    spec = "{size: small, count: 2, duration-seconds: 5400, start: +2h, at-end: delete, labels: {tier: web}}"
    manifest.write_text(f"kind: reservation\nname: nightly\nspec: {spec}\n")
    apply = ("apply", "-f", str(manifest))
    text = run(manager, 0, *apply, "--dry-run")
    assert "+ reservation nightly" in text and "would be made: room for 2 from" in text, text
    assert "chosen for" in run(manager, 0, "plan", "app", "-f", str(manifest))
    run(manager, 3, "reservation", "show", "nightly")
    assert "made: room for 2 from" in run(manager, 0, *apply)
    assert run(manager, 0, *apply) == "= reservation nightly\n"
    before = json.loads(run(manager, 0, "reservation", "show", "nightly", "-o", "json"))
    manifest.write_text(f"kind: reservation\nname: nightly\nspec: {spec.replace('count: 2', 'count: 3')}\n")
    text = run(manager, 4, *apply)
    assert "spec.count: '3'" in text and "is there with 2" in text and "delete it first" in text, text
    assert json.loads(run(manager, 0, "reservation", "show", "nightly", "-o", "json")) == before
    manifest.write_text(f"kind: reservation\nname: nightly\nspec: {spec.replace('count: 2', 'cuont: 2')}\n")
    assert "spec.cuont" in run(manager, 2, *apply)
    run(manager, 0, "reservation", "delete", "nightly")
    manifest.write_text(
        "kind: reservation\nname: now\nspec: {size: small, count: 2, duration-seconds: 5400}\n---\n"
        "kind: app\nname: inside\nspec: {size: small, image: demo, count: 2, reservation: now}\n"
    )
    run(manager, 0, *apply, "--wait=20")
    assert run(manager, 0, *apply) == "= reservation now\n= app inside\n"
    assert "2/2" in run(manager, 0, "reservation", "list")
    run(manager, 0, "app", "delete", "inside", "--wait=20")
    run(manager, 0, "reservation", "delete", "now")


def test_events_are_listed_once(manager):
    events = json.loads(run(manager, 0, "event", "list", "-o", "json"))
    ids = [event["id"] for event in events]
    assert ids and len(set(ids)) == len(ids)


def test_wrong_command_lines(manager):
    assert "4x" in run(manager, 2, "size", "create", "bad", "--cpu", "4x", "--memory", "1GiB")
    run(manager, 2, "vm", "crate")
    run(manager, 2, "size", "create", "Bad", "--cpu", "1", "--memory", "1GiB")
    run(manager, 2, "vm", "create", "x")


def test_not_found(manager, tmp_path):
    assert "small" in run(manager, 3, "size", "show", "smal")
    run(manager, 3, "vm", "delete", "nobody")
    assert manager.berth("--context", str(tmp_path / "none"), "vm", "list").returncode == 3


def test_conflict(manager):
    run(manager, 4, "size", "create", "small", "--cpu", "1", "--memory", "1GiB")
    run(manager, 0, "vm", "create", "busy", "--size", "small", "--image", "demo", "--wait=20")
    run(manager, 4, "image", "delete", "demo")
    run(manager, 0, "vm", "delete", "busy", "--wait=20")


def test_no_capacity(manager):
    run(manager, 0, "size", "create", "huge", "--cpu", "1", "--memory", "1TiB")
    for extra in ((), ("--explain",), ("--dry-run", "--explain")):
        text = run(manager, 5, "vm", "create", "huge", "--size", "huge", "--image", "demo", *extra)
        assert not extra or ("alpha" in text and "beta" in text and "lacks" in text), text
    text = run(manager, 5, "app", "create", "huge", "--size", "huge", "--image", "demo", "--count", "2", "--explain")
    assert "0 of 2 VMs fit" in text and "alpha" in text, text
    run(manager, 0, "size", "delete", "huge")


def test_timeout(manager, agents):
    for agent in agents:
        agent.hold = True
    text = run(manager, 7, "vm", "create", "slow", "--size", "small", "--image", "demo", "--wait=1")
    assert "berth operation wait" in text
    for agent in agents:
        agent.release()
    run(manager, 0, "vm", "delete", "slow", "--wait=20")


def test_not_allowed(manager, tmp_path):
    text = manager.context_file.read_text()
    wrong = tmp_path / "token.yaml"
    wrong.write_text(text.replace(manager.token, "a" * 48))
    assert manager.berth("--context", str(wrong), "vm", "list").returncode == 8


def test_another_manager_answers(manager, tmp_path):
    """Its certificate is not of the CA that the context names."""
    other = Manager(tmp_path)
    try:
        mixed = tmp_path / "mixed.yaml"
        mixed.write_text(manager.context_file.read_text().replace(str(manager.api_port), str(other.api_port)))
        done = manager.berth("--context", str(mixed), "vm", "list")
        assert done.returncode == 8, (done.returncode, done.stderr)
    finally:
        other.close()


def test_a_host_that_is_away(manager, agents, tmp_path):
    away = Agent(manager, tmp_path / "away", "away", {"address": "10.0.0.9"}).connect()
    run(manager, 0, "vm", "create", "there", "--size", "small", "--image", "demo", "--host", "away", "--wait=20")
    away.close()
    run(manager, 6, "vm", "exec", "there", "--", "true")
    away.connect()
    run(manager, 0, "vm", "delete", "there", "--wait=20")
    away.close()


def test_the_manager_is_away(manager):
    """The last: nobody is there after it."""
    manager.stop()
    text = run(manager, 6, "vm", "list")
    assert str(manager.api_port) in text, text
