"""Look into trained networks; `python analyze.py --help` says how."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fer_lit import commandline
from fer_lit.analysis import command


@hydra.main(version_base="1.3", config_path="conf", config_name="analyze")
def job(cfg: DictConfig) -> None:
    """Analyse the runs of one or several sweeps, or look at one's own photographs with them."""
    from fer_lit.analysis.analyze import analyze  # late: help and wrong options must not wait

    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    with commandline.errors_in_one_line():  # Hydra would show a traceback
        analyze(OmegaConf.create(resolved), Path(HydraConfig.get().runtime.output_dir))


if __name__ == "__main__":
    commandline.run(job, Path(__file__).parent.absolute() / "conf", command.checked)
