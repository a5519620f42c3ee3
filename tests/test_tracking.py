"""Weights & Biases: what a run is called, and that it never asks."""

import pytest
from helpers.command import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from fer_lit.runs.tracking import WandbTracker

TRACKER = WandbTracker(project="fer-lit", entity=None)


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
        with TRACKER.track(cfg, folder, "2026-01-02_03-04-05") as tracker:
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

    with pytest.raises(RuntimeError), TRACKER.track(cfg, tmp_path, None):
        raise RuntimeError
    assert wandb.run is None


def test_an_analysis_is_a_run_of_its_own_in_the_sweeps_group(cfg, tmp_path, monkeypatch):
    import wandb

    opened, summary, init = [], {}, wandb.init

    def spy(**options):
        run = init(**options)
        finish = run.finish
        # Afterwards it is no longer there.
        run.finish = lambda: (summary.update(run.summary), finish())
        opened.append(run)
        return run

    monkeypatch.setattr(wandb, "init", spy)
    picture = tmp_path / "maps.png"
    Image.new("L", (4, 4)).save(picture)
    tables = {"accuracy": [{"condition": "none", "accuracy": 0.75}], "tests": []}
    TRACKER.log_analysis(cfg, tmp_path, ["2026-01-02_03-04-05", "B"], tables, {"maps": picture})
    (run,) = opened
    assert (run.group, run.job_type) == ("2026-01-02_03-04-05", "analysis")
    assert set(run.tags) == {"2026-01-02_03-04-05", "B"}
    assert summary["accuracy/none"] == 0.75
    assert {"figures/maps", "tables/accuracy"} <= set(summary)
    assert "tables/tests" not in summary
    assert wandb.run is None
