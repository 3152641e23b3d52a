"""The few lines that a run, or the measurement of a recording, prints."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxflow.editing.candidates import Setting
from jaxflow.editing.choosing import MEASURES
from jaxflow.errors import printable
from jaxflow.figures import counted, message_titles, middle_level
from jaxflow.figures.edits import worst
from jaxflow.figures.style import ALPHA
from jaxflow.interventions import METHODS
from jaxflow.outputs import Roles, favourable_class
from jaxflow.running.edits import Edited, measure_columns, measure_title
from jaxflow.running.notes import few_permutations
from jaxflow.running.results import Results
from jaxflow.statistics import edit_changes

CHANCE = "chance: nothing is told"
NOTICEABLE = 0.1  # points, of a measure that has risen
RISEN = ("measure", "before", "after", "change")
WORDS = {
    "argmax_accuracy": "decision accuracy",
    "accuracy": "information accuracy",
    "bias": "information bias",
    "parity_gap": "parity gap",
    "odds_gap": "odds gap",
}


def summary(results: Results) -> str:
    """Accuracy and bias before and after, the correlations of flow and effect, and where the results lie."""
    networks, roles = results.table("networks"), roles_of(results)
    experiment = printable(str(results.manifest["experiment"]))
    return "\n".join(
        [
            f"{experiment}: {counted(len(networks), 'network')}, means at the output (%)",
            *notion_line(roles, results.manifest.get("dataset", {}).get("values", {})),
            *_outputs(networks, results.table("tradeoff"), roles, results.manifest.get("chance", {})),
            "",
            "Pearson r of edge flow and effect of removal",
            _correlations(results.table("correlations"), roles),
            *_carriers(results.table("node_flows"), roles, results.manifest["identity"].get("permutations") or 0),
            *_fits(results),
            *_searched(results),
            *_thin(results),
            "",
            f"Results: {printable(str(results.path))}",
        ]
    )


def recording_summary(results: Results) -> str:
    """For every message the largest flow, and how many nodes have a significant one, and where the results lie."""
    manifest, flows = results.manifest, results.table("node_flows")
    about = manifest["recording"]
    name, names = printable(str(manifest["experiment"])), about["nodes"]
    notes = [printable(f"Note: {note}") for note in about["notes"]]
    return "\n".join(
        [
            f"{name}: {about['trials']} trials, {counted(flows['layer'].nunique(), 'layer')} (time bins), "
            f"{counted(flows['node'].nunique(), 'node')}",
            *notes,
            *(_significant(message, rows, names) for message, rows in flows.groupby("message", sort=False)),
            "",
            f"Results: {printable(str(results.path))}",
        ]
    )


def _significant(message: object, rows: pd.DataFrame, names: list[object]) -> str:
    """A line about one message."""
    strong = rows[rows["p_max"] < ALPHA]
    largest = rows.iloc[int(rows["flow"].to_numpy().argmax())]
    node = names[int(largest["node"])] if isinstance(names[0], str) else largest["node"]
    where = f"{len(strong)} of {len(rows)} flows are significant (p_max < {ALPHA})"
    if len(strong):
        where += f", of {counted(strong['node'].nunique(), 'node')} in {counted(strong['layer'].nunique(), 'layer')}"
        where += _above_zero(strong)
    top = f"the largest is {largest['flow']:.3g} bits (node {node}, time {largest['time']:.4g})"
    return printable(f"{message}: {where}; {top}")


def edit_summary(edited: Edited) -> str:
    """How many networks reach what was asked for, and what their edits give on rows that did not choose them."""
    table, aim = edited.table, edited.setting.aim
    first = table[table["written"]]
    title, count = printable(measure_title(aim)), len(first)
    asked = f"{title} at most {edited.limit:g} %, at the least loss of decision accuracy"
    if aim.keeps_accuracy:
        asked = f"the least {title} that costs at most {edited.limit:g} points of decision accuracy"
    reached, columns = table[table["network"].isin(first["network"][first["reached"]])], measure_columns(edited.setting)
    written = reached[reached["written"]]
    lines = [f"{printable(edited.name)}: {asked}", *_reach(edited, written, count)]
    for rows, what in ((written, "the edits that are written, chosen on one half of the rows, on the other"),
                       (reached, "and the roles of the halves exchanged, both ways together")):  # fmt: skip
        lines += ["", f"{what} (mean over networks, %, and change with its 95 % interval)"]
        lines.append(_changes(_compared(rows, edited.setting), edited))
    if aim.keeps_accuracy:
        loss = written["argmax_accuracy_before"] - written["argmax_accuracy_after"]
        kept = f"{(loss <= edited.limit).sum()} of {len(written)}"
        lines += ["", f"decision accuracy within {edited.limit:g} points of what it was on the other rows: {kept}"]
    lines += _risen(_compared(reached, edited.setting), columns)
    return "\n".join([*lines, "", f"Results: {printable(str(edited.path))}"])


def _reach(edited: Edited, written: pd.DataFrame, count: int) -> list[str]:
    """How many networks reach the target where the edit is chosen, and how many of these on the other rows as well."""
    aim, columns = edited.setting.aim, measure_columns(edited.setting)
    unedited = int((written["edges"] == "").sum())
    lines = [f"{counted(count, 'network')}, {count - unedited - (count - len(written))} edited"]
    if aim.keeps_accuracy:
        return lines
    holds = int((worst(written, columns, "after") <= edited.limit).sum())
    lines.append(f"reached by {len(written)} where it was chosen, by {holds} of these on the other rows as well")
    if len(written) < count:
        lacking = edited.least[edited.least > edited.limit]
        lines.append(f"{count - len(written)} cannot reach it and are as they were; they come to {lacking.min():.2f} at"
                     f" best, half of them to {np.median(lacking):.2f}")  # fmt: skip
    return lines


def _compared(rows: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Every measure before and after, and the change with a bootstrap over networks."""
    roles = setting.study.roles
    own = [f"{name}{roles.suffix(of)}" for name in MEASURES for of in roles.attributes]
    return edit_changes(rows, [*("argmax_accuracy", "accuracy"), *own, *measure_columns(setting)])


def _changes(changes: pd.DataFrame, edited: Edited) -> str:
    """Means before, edited, and recalibrated, the change from first to last with its interval, and chance."""
    refitted, found = edited.setting.recalibrate != "none", {}
    for measure, before, pruned, after, change, low, high in changes.to_numpy(object).tolist():
        shown = {"before": f"{before:.1f}", "edited": f"{pruned:.1f}"}
        shown |= {"recalibrated": f"{after:.1f}"} if refitted else {}
        interval = "" if np.isnan(low) else f" [{low:+.1f}, {high:+.1f}]"
        found[measure_words(measure)] = shown | {"change": f"{change:+.1f}{interval}"}
        if edited.chance:  # gaps are not listed: where nothing is told there are none
            found[measure_words(measure)]["chance"] = f"{edited.chance.get(measure, 0.0):.1f}"
    return pd.DataFrame(found).T.to_string()


def _risen(changes: pd.DataFrame, aimed: Sequence[str]) -> list[str]:
    """A warning of the other measures of bias that the edits raise for sure: less of one may be more of another."""
    others = changes[~changes["measure"].isin([*aimed, "argmax_accuracy", "accuracy"])]
    risen = others[(others["change"] >= NOTICEABLE) & ~(others["low"] <= 0)]
    if not len(risen):
        return []
    parts = [f"the {measure_words(measure)} by {change:.1f} points ({before:.1f} to {after:.1f} %)"
             for measure, before, after, change in risen[list(RISEN)].to_numpy(object).tolist()]  # fmt: skip
    own = " or ".join(name for name in MEASURES if risen["measure"].str.startswith(name).any())
    return ["", f"Warning: the edits raise {' and '.join(parts)}; --measure {own} lowers that instead"]


def measure_words(column: str) -> str:
    """What people read in the place of a column of ``networks.csv``, without its unit: one name for one quantity."""
    base = next((own for own in WORDS if column == own or column.startswith(f"{own}_")), column)
    return printable(" ".join(filter(None, (WORDS.get(base, base), column[len(base) + 1 :]))))


def roles_of(results: Results) -> Roles:
    """Label and attributes of a run."""
    return roles_of_manifest(results.manifest)


def roles_of_manifest(manifest: Mapping[str, Any]) -> Roles:
    """Label and attributes of a run, from its manifest; the paper's where an earlier version wrote it."""
    notion = manifest["identity"].get("notion", "parity")
    label, about = manifest.get("label", "y"), manifest.get("dataset", {})
    classes, names = about.get("classes", {}).get(label, 2), about.get("values", {}).get(label, ())
    favourable = favourable_class(manifest["identity"].get("favourable"), label, names, classes)
    return Roles(label, tuple(manifest.get("attributes", ("z",))), notion, favourable)


def notion_line(roles: Roles, values: Mapping[str, Sequence[str]]) -> list[str]:
    """What bias is conditioned on, in one line; none where it is on nothing.

    Args:
        roles: of a run.
        values: names of the classes, by message.
    """
    if roles.notion == "parity":
        return []
    label = printable(roles.label)
    if roles.notion == "odds":
        return [f"bias is measured given {label} (odds)"]
    names = values.get(roles.label) or ()
    name = printable(names[roles.favourable]) if names else str(roles.favourable)
    return [f"bias is measured in the rows of {label} = {name}, its class {roles.favourable} (opportunity)"]


def _above_zero(strong: pd.DataFrame) -> str:
    """How many of the significant flows have an honest interval above 0; nothing where none has an interval.

    Beside nodes with flow p_max is too often small for one without, most of all by ``quadratic`` (docs/calibration.md).
    """
    if "low" not in strong or strong["low"].isna().all():
        return ""
    return f" ({(strong['low'] > 0).sum():,} with an honest interval above 0)"


def _carriers(node_flows: pd.DataFrame, roles: Roles, permutations: int) -> list[str]:
    """How many nodes and networks carry a flow that is significant; nothing where no p-values are known.

    p_max is family-wise over the nodes of a layer: of layers that know nothing, one in twenty has such a node.
    """
    if "p_max" not in node_flows or node_flows["p_max"].isna().all():
        return []
    parts = []
    for message, title in message_titles(roles).items():
        rows = node_flows[node_flows["message"] == message]
        strong = rows[rows["p_max"] < ALPHA]
        of_networks = f"{strong['network'].nunique()} of {counted(rows['network'].nunique(), 'network')}"
        name = title.replace("\\$", "$")
        parts.append(f"{name} in {len(strong):,} of {counted(len(rows), 'node')}, {of_networks}{_above_zero(strong)}")
    line = f"Significant flow (p_max < {ALPHA:g}, corrected for a layer's nodes): {'; '.join(parts)}"
    return ["", line, *few_permutations(permutations)]


def _searched(results: Results) -> list[str]:
    """Which layers were too wide to go through all subsets."""
    layers = results.manifest.get("searched", [])
    names = ", ".join(f"layer {layer}" for layer in layers)
    return ["", f"Flows of {names} are lower bounds, found by Gaussian search"] if layers else []


def _thin(results: Results) -> list[str]:
    """Which classes, or classes within strata, have too few rows for the widest layer."""
    lines = results.manifest.get("thin", [])
    return ["", *map(printable, lines)] if lines else []


def _fits(results: Results) -> list[str]:
    """How many fits did not converge, where there are any."""
    if not (results.path / "fits.csv").exists():
        return []
    fits, unconverged = results.table("fits")[["fits", "unconverged"]].sum()
    return ["", f"{unconverged:,} of {fits:,} fits did not converge (fits.csv)"]


def _outputs(networks: pd.DataFrame, tradeoff: pd.DataFrame, roles: Roles, chance: Mapping[str, float]) -> list[str]:
    """A table for every attribute: unpruned, with weights removed at every method's middle level, and told nothing."""
    unpruned = networks.rename(columns={"output_accuracy": "accuracy", "output_bias": "bias"})
    removed = tradeoff[tradeoff["factor"] == 0]
    parts = []
    for attribute in roles.attributes:
        columns = ["accuracy", f"bias{roles.suffix(attribute)}", "argmax_accuracy"]
        aimed = removed[removed["attribute"] == attribute] if "attribute" in removed else removed
        rows = {"unpruned": unpruned[columns].mean()} | _after(aimed, columns)
        if set(columns) <= set(chance):
            rows[CHANCE] = pd.Series({name: chance[name] for name in columns})
        table = pd.DataFrame(rows).T.rename(columns=lambda name: measure_words(str(name)))
        parts.append(table.to_string(float_format="{:.1f}".format))
    return parts


def _after(removed: pd.DataFrame, columns: list[str]) -> dict[str, pd.Series]:
    """Means of the columns after removing the middle number of nodes, edges and paths; of controls the random one."""
    rows, metrics = {}, [name for name in dict.fromkeys(removed["metric"]) if name not in ("acc/bias", "magnitude")]
    for method in METHODS:
        of_method = removed[removed["method"] == method]
        for metric in metrics:
            chosen = of_method[of_method["metric"] == metric]
            if len(chosen):
                level = middle_level(chosen["level"])
                label = f"{counted(level, method)} removed, {metric}"
                rows[label] = chosen.loc[chosen["level"] == level, columns].mean()
    return rows


def _correlations(table: pd.DataFrame, roles: Roles) -> str:
    """A row for every message, a column for every layer."""
    by_layer = table.pivot_table(index="message", columns="layer", values="r", dropna=False)
    titles = message_titles(roles)
    by_layer = by_layer.loc[[message for message in titles if message in by_layer.index]]
    by_layer.index = pd.Index([titles[str(message)].replace("\\$", "$") for message in by_layer.index])
    by_layer.columns = pd.Index([f"layer {layer}" for layer in by_layer.columns])
    return by_layer.to_string(float_format="{:+.2f}".format, na_rep="–")
