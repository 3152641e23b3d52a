"""The options that the paper's four scripts have in common."""

import argparse
from pathlib import Path


def read_options(description: str, figure: str) -> argparse.Namespace:
    """How many networks, where the data files are, and where the figure goes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=100, help="number of networks")
    parser.add_argument("--data-dir", type=Path, help="folder with the original data files")
    parser.add_argument("--figure", type=Path, default=Path(figure), help="where the figure goes")
    return parser.parse_args()
