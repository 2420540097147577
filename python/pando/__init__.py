"""Pando: datasets of jets, and their loader for training loops.

`Dataset` is what lies on the disk, `Loader` gives batches of it, `convert` makes it from HDF5 and ROOT files.
"""

from __future__ import annotations

from ._library import version
from .batch import Batch
from .dataset import Damage, Dataset, Field, Jets, Statistics, VerificationReport
from .errors import ConvertError, DatasetError, FileError, ForkError, FormatError, LoaderError, PandoError
from .loader import Batches, Loader, TokenPairs
from .ranks import Rank, resolve_rank
from .tool import convert

__version__ = version()
__all__ = [
    "Batch",
    "Batches",
    "ConvertError",
    "Damage",
    "Dataset",
    "DatasetError",
    "Field",
    "FileError",
    "ForkError",
    "FormatError",
    "Jets",
    "Loader",
    "LoaderError",
    "PandoError",
    "Rank",
    "Statistics",
    "TokenPairs",
    "VerificationReport",
    "convert",
    "resolve_rank",
]
