"""Which part of a face does a pretrained network need in order to recognise an emotion?"""

from importlib.metadata import version

__version__ = version("fer-lit")
