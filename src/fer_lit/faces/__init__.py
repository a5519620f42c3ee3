"""What goes in: faces, where they come from, how they are split, and what the network sees."""

from omegaconf import DictConfig

from fer_lit.errors import ConfigError
from fer_lit.faces.face_set import FaceSet


def load_faces(data: DictConfig) -> FaceSet:
    """Return the faces that the configuration group `data` describes.

    Raises:
        ConfigError: the photographs are not there, or something is wrong with them.
    """
    classes = list(data.classes)
    if data.name == "synthetic":
        from fer_lit.faces.synthetic import draw_faces

        return draw_faces(classes, data.count, data.seed)
    from fer_lit.faces.decoding import load_photographs
    from fer_lit.faces.sources import locate_photographs

    root = locate_photographs(data.root, classes, data.download)
    if root is None:
        raise ConfigError(
            "data.root: there are no photographs; give their folder, or data=synthetic"
        )
    return load_photographs(root, classes, data.on_bad_image)
