"""The report of a folder of results or edits: reads its tables and its manifest, and writes one HTML file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxflow.errors import InputError, counted, shown
from jaxflow.explorer import About, recording_page, run_page
from jaxflow.outputs import Roles
from jaxflow.running.commands import command_of
from jaxflow.running.edit_reporting import edit_manifest, page_of_edits
from jaxflow.running.facts import config_facts, data_facts, estimator_of, machine_facts, plain_facts
from jaxflow.running.files import explained, written_whole
from jaxflow.running.results import REPORT, Results
from jaxflow.running.summary import notion_line, roles_of
from jaxflow.values import folder


def report(results: Results | str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a finished run, recording or edit: one HTML file that needs nothing outside.

    It is made from the tables alone. Of a run it shows the network with its flows, the tradeoff of bias and accuracy
    under pruning, flow against effect, all networks, and what was run; of a recording its flows over time; of a folder
    of ``jaxflow edit`` the networks with their edits, and every measure before and after. The same tables give the
    same bytes.

    Args:
        results: what ``pipeline.run``, ``pipeline.analyse`` or ``measure`` returned, or the path of such a folder or
            of one that ``jaxflow edit`` has filled.
        path: of the file; ``report.html`` in the results folder if not given. A file that is there is replaced.

    Returns:
        The path of the file.

    Raises:
        InputError: no results folder, a run that has not ended, tables that are damaged, or a path that cannot be
            written; then nothing is written.

    Example:
        >>> import tempfile
        >>> stimulus = np.arange(100) % 2
        >>> recording = {"activity": np.random.default_rng(0).normal(size=(100, 2, 3)), "stimulus": stimulus}
        >>> results = measure(recording, "stimulus", permutations=9, out=f"{tempfile.mkdtemp()}/flows")
        >>> report(results).name
        'report.html'
    """
    results = results if isinstance(results, Results) else Results(folder("results", results))
    target = results.path / REPORT if path is None else folder("path", path)
    _check_place(target)
    text = page_of(results)
    with explained(target), written_whole(target) as file:
        file.write(text.encode())
    return target


def _check_place(target: Path) -> None:
    """Refuse what a file must not replace: a folder, a device or a pipe, and a link, which leads elsewhere.

    Raises:
        InputError: one of these stands in the file's place.
    """
    if os.path.islink(target) or (os.path.exists(target) and not os.path.isfile(target)):
        what = "a folder" if os.path.isdir(target) and not os.path.islink(target) else "no ordinary file"
        raise InputError(f"{target} is {what}; name a file with --out, such as {REPORT}")


def page_of(results: Results) -> str:
    """The report as HTML.

    Raises:
        InputError: see ``report``.
    """
    if (edit := edit_manifest(results.path)) is not None:
        return page_of_edits(results, edit)
    manifest = results.manifest
    if not manifest["finished"]:
        raise InputError(f"the run in {results.path} has not ended; give its command again, then report it")
    try:
        if "recording" in manifest:
            return recording_page(results.table, _edges(results), _about_recording(manifest))
        return run_page(results.table, _about_run(manifest, roles_of(results)))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the tables in {results.path} do not fit together ({shown(error)}); the run's command makes them again"
        ) from error


def _edges(results: Results) -> Any:
    """The edge flows of a recording; None where there are none."""
    return results.table("edge_flows") if (results.path / "edge_flows.csv").exists() else None


def _about_run(manifest: Mapping[str, Any], roles: Roles) -> About:
    """What the manifest of a run says."""
    identity, data = manifest["identity"], manifest.get("dataset", {})
    estimator = estimator_of(identity)
    first = identity.get("first_layer", 0)
    about = f"about {roles.label} and {', '.join(roles.attributes)}"
    subtitle = f"{counted(manifest['seeds'], 'network')}, {estimator} estimate, {about}, {roles.notion}"
    searched = manifest.get("searched", [])
    notes = [
        *notion_line(roles, data.get("values", {})),
        *(f"Flows of layer {layer} are lower bounds, found by search" for layer in searched),
        *data.get("notes", []),
        *manifest.get("thin", []),
    ]
    facts = [*config_facts(identity), *data_facts(data), *machine_facts(manifest)]
    names = data.get("features", []) if first == 0 and "params" not in identity else []
    samples = data.get("rows", {}).get("test")
    version = manifest["versions"].get("jaxflow", "")
    return About(manifest["experiment"], subtitle, estimator, roles, names, samples, notes, facts,
                 command_of(manifest), version, chance=manifest.get("chance", {}))  # fmt: skip


def _about_recording(manifest: Mapping[str, Any]) -> About:
    """What the manifest of a recording says."""
    identity, recording = manifest["identity"], manifest["recording"]
    estimator, nodes = estimator_of(identity), recording["nodes"]
    trials, bins = counted(recording["trials"], "trial"), counted(recording["layers"], "time bin")
    subtitle = f"{trials}, {bins}, {estimator} estimate, about {', '.join(identity['messages'])}"
    asked = {name: value for name, value in recording.get("asked", {}).items() if value is not None}
    kept = {name: identity[name] for name in ("permutations", "confidence", "seed") if name in identity}
    facts = [*plain_facts(kept | asked), *plain_facts(recording.get("source", {})), *machine_facts(manifest)]
    names = [str(name) for name in nodes] if nodes and isinstance(nodes[0], str) else []
    version = manifest["versions"].get("jaxflow", "")
    return About(manifest["experiment"], subtitle, estimator, None, names, recording["trials"],
                 recording.get("notes", []), facts, command_of(manifest), version,
                 float(identity.get("confidence", 0.95)))  # fmt: skip
