"""Train networks; `python train.py --help` says how."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lit.cli import common, train
from fer_lit.runs.folder import without_folder


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def job(cfg: DictConfig) -> float:
    """Train one network: the only one, or one job of a sweep."""
    from fer_lit import training  # late: help and wrong options must not wait for torch

    hydra_cfg = HydraConfig.get()
    sweep = Path(hydra_cfg.sweep.dir).name if hydra_cfg.mode == RunMode.MULTIRUN else None
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    resumed = resolved.pop("resume") is not None
    return training.train(
        OmegaConf.create(resolved),
        Path(hydra_cfg.runtime.output_dir),
        sweep,
        without_folder(hydra_cfg.overrides.task),
        resumed,
    )


if __name__ == "__main__":
    conf = Path(__file__).parent.absolute() / "conf"
    common.run(job, conf, "config", train.start, train.stopped)
