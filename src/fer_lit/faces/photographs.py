"""The source of faces that are photographs: a folder or CSV file, or the download.

Needs neither torch nor numpy, so a wrong folder or class is reported before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fer_lit.errors import ConfigError
from fer_lit.faces.sources import locate_photographs
from fer_lit.limits import Rule, check_rules, one_of

if TYPE_CHECKING:
    from fer_lit.faces.face_set import FaceSet

_RULES = (Rule("on_bad_image", *one_of("error", "skip")),)


@dataclass(frozen=True)
class Photographs:
    """Photographs of the emotions, wherever they are (see `locate_photographs`).

    Attributes:
        root: folder or CSV file; None looks in the usual places.
        classes: emotions, in the order of the labels.
        on_bad_image: `error`, or `skip` to leave out what cannot be decoded.
        download: whether they may be fetched.
    """

    root: str | None
    classes: Sequence[str]
    on_bad_image: str
    download: bool

    def __post_init__(self):
        check_rules("data", vars(self), _RULES)

    def is_there(self) -> bool:
        """Return whether the photographs can be had, fetched if they must and may be."""
        return locate_photographs(self.root, self.classes, self.download) is not None

    def load(self) -> FaceSet:
        """Return the photographs, decoded once and kept.

        Raises:
            ConfigError: they are not there, or something is wrong with them.
        """
        from fer_lit.faces.decoding import load_photographs

        root = locate_photographs(self.root, self.classes, self.download)
        if root is None:
            raise ConfigError(
                "data.root: there are no photographs; give their folder, or data=synthetic"
            )
        return load_photographs(root, self.classes, self.on_bad_image)
