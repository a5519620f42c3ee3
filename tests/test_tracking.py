"""Weights & Biases: what a run is called, and that it never asks."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from fer_lit.tracking import WandbTracker

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture
def cfg(monkeypatch, tmp_path):
    """The demo under one condition, on a machine without a W&B account."""
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", ["experiment=demo", "occlusion=mouth", "seed=3"])
    return OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))


def test_each_run_has_the_group_the_name_the_tags_and_the_config(cfg, tmp_path):
    runs = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with WandbTracker(cfg, folder, "2026-01-02_03-04-05") as tracker:
            run = tracker.logger.experiment
            runs.append(run.id)
            assert run.offline
            assert run.group == "2026-01-02_03-04-05"
            assert run.name == "mouth_seed3"
            assert run.job_type == "train"
            assert set(run.tags) == {"mouth", "synthetic", "googlenet"}
            assert run.config.as_dict() == OmegaConf.to_container(cfg)
            tracker.log_facts({"device": "cpu"})
            assert run.config["provenance"] == {"device": "cpu"}
        assert len(list(folder.glob(f"wandb/offline-run-*-{run.id}/run-{run.id}.wandb"))) == 1
    assert len(set(runs)) == 2


def test_a_failed_run_is_closed_too(cfg, tmp_path):
    import wandb

    with pytest.raises(RuntimeError), WandbTracker(cfg, tmp_path, None):
        raise RuntimeError
    assert wandb.run is None
