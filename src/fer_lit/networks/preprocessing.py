"""How pixels become what each network was trained on."""

import torch
from torch import Tensor, nn


class TorchvisionPreprocessing(nn.Module):
    """Pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, to RGB of -1 to 1.

    This is what torchvision's normalisation by ImageNet's mean and deviation followed by the
    network's own `transform_input` come to.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W), float32."""
        return (x / 127.5 - 1).expand(-1, 3, -1, -1)

    def extra_repr(self) -> str:
        """Return what it does, for provenance."""
        return "RGB, 0-255 to -1-1"


class CaffePreprocessing(nn.Module):
    """Pixels of 0 to 255, (B, 1, H, W) grey or (B, 3, H, W) RGB, to BGR minus the ImageNet mean."""

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W), float32, about -123 to 151."""
        return x.flip(1) - self.mean

    def extra_repr(self) -> str:
        """Return what it does, for provenance."""
        return "BGR, 0-255, minus (104, 117, 123)"
