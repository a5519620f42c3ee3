"""Train networks; `python train.py --help` says how."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lit.cli import common, train


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def job(cfg: DictConfig) -> float:
    """Train one network: the only one, or one job of a sweep."""
    from fer_lit import training  # late: help and wrong options must not wait for torch

    hydra_cfg = HydraConfig.get()
    sweep = Path(hydra_cfg.sweep.dir).name if hydra_cfg.mode == RunMode.MULTIRUN else None
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return training.train(
        OmegaConf.create(resolved),
        Path(hydra_cfg.runtime.output_dir),
        sweep,
        list(hydra_cfg.overrides.task),
    )


if __name__ == "__main__":
    common.run(job, Path(__file__).parent.absolute() / "conf", "config", train.checked)
