"""The draw of rows that adult and mnist share: as many as possible in the ratio 1 : 2 : 2 : 1."""

import math
from collections.abc import Sequence

import numpy as np

RATIO = (1, 2, 2, 1)
AUTHORS_SEED = 42  # default_rng(42) draws the rows of the authors' program


def skewed_halves(
    cells: Sequence[np.ndarray], seed: int | None = None, multiple: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the analysis half, drawn without replacement in the ratio 1 : 2 : 2 : 1.

    From each cell ⌊ratio · u⌋ rows with the largest u that every cell allows; the first half of a cell's draw
    trains. The last cell gives up the rows by which a half exceeds a multiple of the batch size
    (Venkatesh et al. 2021, App. B.2, B.3).

    Args:
        cells: row numbers of the four cells, in the order of the ratio.
        seed: of the draw; None draws the authors' rows.
        multiple: each half's number of rows is a multiple of this.

    Returns:
        Row numbers of the two halves, cell after cell.
    """
    unit = min(len(cell) / weight for cell, weight in zip(cells, RATIO, strict=True))
    sizes = [math.floor(weight * unit) for weight in RATIO]
    rng = np.random.default_rng(AUTHORS_SEED if seed is None else seed)
    drawn = [rng.choice(cell, size, replace=False, shuffle=False) for cell, size in zip(cells, sizes, strict=True)]
    train = np.concatenate([rows[: len(rows) // 2] for rows in drawn])
    test = np.concatenate([rows[len(rows) // 2 :] for rows in drawn])
    return train[: len(train) // multiple * multiple], test[: len(test) // multiple * multiple]
