"""The options of a run, from a file that anybody may have written."""

import os

import pytest
from omegaconf import OmegaConf

from fer_lit.errors import ConfigError
from fer_lit.files import write_json, write_text
from fer_lit.runs.folder import RunFolder
from fer_lit.runs.reading import read_run
from fer_lit.runs.stored_config import read_config

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abc", "bcd", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "has the anchor &a, which no run writes; bring back the original"),
        ("R&D: {b: &own 1}", "has the anchor &own, which no run writes"),
        ("a: &a [*a]", "has the anchor &a, which"),
        ("a: *b", "not readable as YAML (found undefined alias"),
        ("a: [1", "not readable as YAML ("),
        ("a: " + "[" * 5000 + "]" * 5000, "not readable as YAML (maximum recursion depth"),
        ("a: !!python/name:os.system x", "not readable as YAML (could not determine a constructor"),
        ("- 1", "holds no options but a list"),
        ("a: ${oc.env:HOME}", "refers to other values by ${…}, which no run writes; trust=true"),
        ('a: ["\\x24{b}"]\nb: 1', "refers to other values by ${…}"),
        ("a: {_target_: os.system}", "a._target_=os.system is not of fer_lit"),
    ],
)
def test_what_is_no_runs_configuration_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    write_text(path, text)
    with pytest.raises(ConfigError) as refused:
        read_config(path)
    assert str(refused.value).startswith(f"{path}: {message}")
    assert "\n" not in str(refused.value)


def test_what_is_trusted_may_name_and_refer_to_anything_but_not_multiply(tmp_path):
    path = tmp_path / "config.yaml"
    write_text(path, "a: {_target_: os.system, command: '${b}'}\nb: x")
    assert read_config(path, trust=True).a.command == "x"
    write_text(path, BOMB)
    with pytest.raises(ConfigError, match="anchor &a"):
        read_config(path, trust=True)


def test_signs_of_yaml_in_values_are_text(tmp_path):
    config = OmegaConf.create({"root": "R&D", "name": "&a", "list": ["*a", "x &b *c"], "é": None})
    write_text(tmp_path / "config.yaml", OmegaConf.to_yaml(config))
    assert read_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("name", "largest"),
    [("config.yaml", 2**18), ("provenance.json", 2**25), ("metrics.json", 2**25)],
)
def test_files_larger_than_any_runs_are_not_read(tmp_path, name, largest):
    run = RunFolder(tmp_path / "run")
    run.start(OmegaConf.create({"seed": 0}))
    write_json(run.path / "metrics.json", {})
    run.record(status="finished")
    assert read_run(run.path)["metrics"] == {}
    os.truncate(run.path / name, largest + 1)  # sparse: nothing is written
    with pytest.raises(ConfigError) as refused:
        read_run(run.path)
    assert str(refused.value) == (
        f"{run.path / name}: not read: {largest + 1:,} bytes, and at most {largest:,} are; bring "
        "back the original, or train the run again"
    )
