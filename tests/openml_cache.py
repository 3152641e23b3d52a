"""A scikit-learn data home that holds an OpenML table, so that ``fetch_openml`` needs no network."""

import gzip
import hashlib
import json
from pathlib import Path


def prepare(data_home: Path, name: str, version: int, columns: list[tuple[str, str]], target: str, rows: bytes) -> None:
    """Lay out the API's answers and the ARFF file as scikit-learn caches them.

    Args:
        data_home: what ``fetch_openml`` is given.
        name: of the OpenML dataset.
        version: of the OpenML dataset.
        columns: name and ARFF type of every column.
        target: name of the target column.
        rows: the table, comma-separated, ``?`` for missing.
    """
    header = "".join(f"@ATTRIBUTE '{column}' {kind}\n" for column, kind in columns)
    arff = f"@RELATION {name}\n{header}@DATA\n".encode() + rows
    features = [
        {
            "index": str(index),
            "name": column,
            "data_type": "nominal" if kind.startswith("{") else "numeric",
            "is_target": "true" if column == target else "false",
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }
        for index, (column, kind) in enumerate(columns)
    ]
    description = {
        "id": "1", "name": name, "version": str(version), "format": "ARFF", "status": "active", "file_id": "1",
        "description": "",
        "url": f"https://www.openml.org/data/v1/download/1/{name}.arff", "md5_checksum": hashlib.md5(arff).hexdigest(),
    }  # fmt: skip
    quality = [{"name": "NumberOfInstances", "value": str(rows.count(b"\n"))}]
    answers = {
        f"api/v1/json/data/list/data_name/{name}/limit/2/data_version/{version}": {
            "data": {"dataset": [{"did": 1, "name": name, "version": version, "status": "active"}]}
        },
        "api/v1/json/data/1": {"data_set_description": description},
        "api/v1/json/data/features/1": {"data_features": {"feature": features}},
        "api/v1/json/data/qualities/1": {"data_qualities": {"quality": quality}},
    }
    files = {path: json.dumps(answer).encode() for path, answer in answers.items()}
    files[f"data/v1/download/1/{name}.arff"] = arff
    for path, content in files.items():
        file = data_home / "openml" / "openml.org" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content, compresslevel=1))
