"""Where the weights of a backbone come from: random, published for ImageNet, or a file."""

import hashlib
import logging
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from fer_lit.cache import cache_folder
from fer_lit.errors import ConfigError
from fer_lit.networks.architecture import Architecture
from fer_lit.networks.backbone import Backbone
from fer_lit.networks.caffemodel import read_caffemodel

log = logging.getLogger(__name__)


def build_backbone(
    architecture: Architecture, weights: str | None, download: bool = True, seed: int = 0
) -> Backbone:
    """Return a frozen backbone; the global random state stays as it was.

    Weights are `imagenet`, fetched if the cache has no file and it may be; a file, `.safetensors`,
    `.pth`, `.pt` or `.caffemodel`, with the published names; or None for random ones from `seed`.

    Raises:
        ConfigError: the weights cannot be had, or are not those of the network.
    """
    with torch.random.fork_rng(devices=[]):
        backbone = architecture.build()
    if weights is None:
        _initialise(backbone, seed)
    elif weights == "imagenet":
        _load_published(backbone, download)
    else:
        _load(backbone, Path(weights).expanduser())
    return backbone


def _initialise(backbone: Backbone, seed: int) -> None:
    """He et al., "Delving deep into rectifiers", ICCV 2015; BatchNorm stays at scale 1, shift 0."""
    generator = torch.Generator().manual_seed(seed)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _load_published(backbone: Backbone, download: bool) -> None:
    """Load what the cache has under the published name, if it is what was published."""
    published = backbone.architecture.imagenet
    path = cache_folder("weights") / published.file
    converted = path.with_suffix(".safetensors")
    if published.content and converted.exists() and not path.exists():
        _load(backbone, converted)
        _require(converted, "sha256 of the tensors", backbone.digest(), published.content)
        return
    if not path.exists():
        _download(backbone.architecture, path, download)
    found = hashlib.new(published.algorithm, path.read_bytes()).hexdigest()
    _require(path, published.algorithm, found, published.digest)
    _load(backbone, path)


def _require(path: Path, kind: str, found: str, published: str) -> None:
    if not found.startswith(published):
        raise ConfigError(
            f"{path} is not what was published ({kind} {found}, not {published}): delete it, "
            "or name it as model.weights=FILE if you mean it"
        )


def _download(architecture: Architecture, path: Path, allowed: bool) -> None:
    source, name = architecture.imagenet.source, architecture.name
    if not architecture.imagenet.downloadable:
        problem = f"are not in the cache; {path.name} is linked from {source}"
        raise _unavailable(name, problem, path)
    if not allowed:
        raise _unavailable(name, "are not in the cache and data.download=false", path)
    log.info("Downloading the ImageNet weights of %s (50 MB) from %s to %s", name, source, path)
    try:
        with _timeout(30):
            digest = architecture.imagenet.digest
            torch.hub.download_url_to_file(source, str(path), hash_prefix=digest)
    except (OSError, RuntimeError, HTTPException) as error:
        problem = f"could not be downloaded from {source} ({_one_line(error)})"
        raise _unavailable(name, problem, path) from None


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """End a connection on which nothing arrives; torch's downloader waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unavailable(network: str, problem: str, path: Path) -> ConfigError:
    return ConfigError(
        f"the ImageNet weights of {network} {problem}; give model.weights=FILE, put {path.name} "
        f"into {path.parent}, or run experiment=demo, which needs none"
    )


def _load(backbone: Backbone, path: Path) -> None:
    found, architecture = _read(path), backbone.architecture
    for name, other in architecture.other_networks.items():
        if name in found:
            raise ConfigError(f"{path}: these look like the weights of {other}: use model={other}")
    own = backbone.blocks.state_dict()
    state = {architecture.published_name(name): tensor for name, tensor in own.items()}
    advice = f"give the published weights of {architecture.name}"
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue  # changes nothing, and old files lack it
        if name not in found:
            raise ConfigError(f"{path}: {name} is missing: {advice}")
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)}, not {tuple(tensor.shape)}"
            raise ConfigError(f"{path}: {name} has the shape {shapes}: {advice}")
        tensor.copy_(found[name])
    for name in found:
        if name not in state and not name.startswith(architecture.ignored):
            raise ConfigError(
                f"{path}: {name} is unknown to {architecture.name}: give its published weights"
            )


def _read(path: Path) -> dict[str, Tensor]:
    """Read tensors by name; no format runs code from the file."""
    readers = {
        ".safetensors": load_file,
        ".pth": _read_torch,
        ".pt": _read_torch,
        ".caffemodel": read_caffemodel,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(f"model.weights={path}: give one of {', '.join(readers)}")
    if not path.is_file():
        raise ConfigError(f"model.weights={path}: there is no such file: check the path")
    try:
        return reader(path)
    except ConfigError:
        raise
    except Exception as error:  # a broken file can make a reader raise anything
        raise ConfigError(
            f"{path} cannot be read as weights ({_one_line(error)}): fetch or copy it again"
        ) from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # whose message advises to run the code
        raise ConfigError(
            f"{path} is broken or holds more than tensors, and is not loaded because that could "
            "run code: save a plain state_dict of tensors, or a .safetensors file"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ConfigError(f"{path} holds no plain dictionary of tensors: save a state_dict")
    return state


def _one_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def calibrate_batch_norm(backbone: Backbone, pixels: Tensor) -> None:
    """Set the running statistics of every BatchNorm from faces.

    Each layer sees its input normalised by those before it, as in training. Many faces are taken in
    equal parts of at most 64, whose statistics are averaged. Without BatchNorm nothing happens.
    Pixels are float32, (N, 1, H, W), 0 to 255, on the backbone's device; N is at least 1.
    """
    modes = {module: module.training for module in backbone.modules()}
    # Frozen blocks of a backbone stay in eval mode, where they would learn nothing.
    blocks = nn.Sequential(backbone.preprocessing, *backbone.blocks.values())
    with torch.autocast(pixels.device.type, enabled=False):
        update_bn(pixels.chunk(-(-len(pixels) // 64)), blocks)
    for module, mode in modes.items():
        module.training = mode


def batch_norm_state(backbone: Backbone) -> dict[str, Tensor]:
    """Copy the statistics of every BatchNorm, by their names in the state dictionary."""
    return {
        f"{prefix}.{name}": buffer.clone()
        for prefix, module in backbone.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name, buffer in module.named_buffers()
    }
