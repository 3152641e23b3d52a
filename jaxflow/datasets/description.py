"""A dataset in a few lines, as a run prints it before it begins."""

from typing import Any

from jaxflow.datasets.base import Dataset

MOST_CELLS = 24  # lines of cells
MOST_NAMES = 8  # features that are named


def description(dataset: Dataset) -> str:
    """Rows, features, messages with their class names, rows in every cell, and what was decided: a few lines of text.

    Args:
        dataset: any dataset; ``read_table`` gives class names and notes.

    Returns:
        Lines without a line break at the end.

    Example:
        >>> from jaxflow.datasets import load_dataset
        >>> print(description(load_dataset("synthetic")).splitlines()[0])
        synthetic: 10,000 rows, 5,000 to train and 5,000 to analyse
    """
    train, test = len(dataset.train.x), len(dataset.test.x)
    lines = [f"{dataset.name}: {train + test:,} rows, {train:,} to train and {test:,} to analyse"]
    coded = len(dataset.categories)
    categories = [f"{own} ({n} values)" for own, n in zip(dataset.features, dataset.categories, strict=False)]
    numeric = dataset.features[coded:]
    lines += [f"numeric features ({len(numeric)}): {_listed(numeric)}"] if numeric else []
    lines += [f"embedded categories ({coded}): {_listed(categories)}"] if coded else []
    lines += [_message(dataset, own) for own in dataset.messages]
    return "\n".join([*lines, *_cells(dataset), *(f"note: {note}" for note in dataset.notes)])


def record(dataset: Dataset) -> dict[str, Any]:
    """What a manifest says of a dataset, in plain JSON values.

    Args:
        dataset: any dataset.

    Returns:
        ``name``, ``rows`` of the halves, names of the ``features`` (the nodes of layer 0, in their order), number of
        ``classes`` of every message (0 of a continuous one), ``values`` (names of the classes), ``notes``, and
        ``source`` where there is one.

    Example:
        >>> from jaxflow.datasets import load_dataset
        >>> record(load_dataset("synthetic"))["rows"]
        {'train': 5000, 'test': 5000}
    """
    about = {
        "name": dataset.name,
        "rows": {"train": len(dataset.train.x), "test": len(dataset.test.x)},
        "features": list(dataset.features),
        "classes": dataset.classes,
        "values": {name: list(values) for name, values in dataset.values.items()},
        "notes": list(dataset.notes),
    }
    return about | ({"source": dict(dataset.source)} if dataset.source else {})


def _listed(names: tuple[str, ...] | list[str]) -> str:
    """The first names, and how many there are beside."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _message(dataset: Dataset, name: str) -> str:
    """One message: its role, its name, its classes."""
    role = "label" if name == dataset.label else "attribute"
    count = dataset.classes[name]
    numbers = tuple(map(str, range(count)))
    names = dataset.values.get(name, numbers)
    classes = [number if number == own else f"{number} = {own}" for number, own in zip(numbers, names, strict=True)]
    return f"{role} {name}: " + (f"{count} classes, {_listed(classes)}" if count else "continuous")


def _cells(dataset: Dataset) -> list[str]:
    """A table of rows in every cell, class names in place of numbers."""
    table = dataset.describe()
    for name, values in dataset.values.items():
        if name in table:
            table[name] = [values[code] for code in table[name]]
    lines = table.head(MOST_CELLS).to_string(index=False).splitlines()
    return lines + ([f"and {len(table) - MOST_CELLS} more cells"] if len(table) > MOST_CELLS else [])
