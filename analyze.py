"""Look into trained networks; `python analyze.py --help` says how."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fer_lit.cli import analyze, common


@hydra.main(version_base="1.3", config_path="conf", config_name="analyze")
def job(cfg: DictConfig) -> None:
    """Analyse the runs of one or several sweeps, or look at one's own photographs with them."""
    from fer_lit.analysis import analyze as analysis  # late: help must not wait for torch

    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    with common.errors_in_one_line():  # Hydra would show a traceback
        analysis.analyze(OmegaConf.create(resolved), Path(HydraConfig.get().runtime.output_dir))


if __name__ == "__main__":
    common.run(job, Path(__file__).parent.absolute() / "conf", "analyze", analyze.start)
