"""Means over networks of what ``circuit.py`` finds in each, with intervals: what the page's tables are made of.

A difference is taken within every network before it is averaged, so that its interval is that of pairs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from circuit_network import AREA
from scipy.stats import t

Tables = Mapping[str, pd.DataFrame]
CONTEXTS = ("motion", "colour")
STAGES = {  # numbers of the units, the output's after all others
    "streams": np.flatnonzero(AREA < 2),
    "integrating": np.flatnonzero(AREA == 2),
    "output": np.array([len(AREA)]),
}
CHOSEN_BY = (*CONTEXTS, "choice", "irrelevant")
PREDICTORS = ("flow", "edge", "weight", "spread")
SPIKES_OR_RATES = (("spikes", "rates"), ("half the spikes", "half the rates"))
OF_LESIONS = ("recording", "kind", "stage", "message", "which", "context")
OF_NUMBERS = ("table", "recording", "stage", "message", "context", "what")
NONE = "–"  # where a column of the numbers does not apply


def over_networks(table: pd.DataFrame, names: Sequence[str], value: str) -> pd.DataFrame:
    """A value averaged within every network, then over networks, with its 95 % interval (Student's t)."""
    names = list(names)
    of_networks = table.groupby([*names, "network"], sort=False)[value].mean().groupby(names, sort=False)
    spread = of_networks.agg(["mean", "std", "count"]).reset_index()
    reach = spread["std"] / np.sqrt(spread["count"]) * t.ppf(0.975, spread["count"] - 1)
    ends = {"low": spread["mean"] - reach, "high": spread["mean"] + reach, "networks": spread["count"]}
    return spread.drop(columns=["std", "count"]).assign(**ends)


def with_differences(table: pd.DataFrame, column: str, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """A table of values with further rows ``a − b``: within each network, the value at a less that at b of a column."""
    others = [name for name in table.columns if name not in (column, "value")]
    wide = table.pivot_table(index=others, columns=column, values="value")
    further = [
        (wide[a] - wide[b]).dropna().rename("value").reset_index().assign(**{column: f"{a} − {b}"}) for a, b in pairs
    ]
    return pd.concat([table, *further], ignore_index=True)


def concerned(flows: pd.DataFrame) -> pd.DataFrame:
    """Flows without those of motion and colour in the other's stream."""
    outside = np.zeros(len(flows), bool)
    for area, name in enumerate(CONTEXTS):
        other = np.flatnonzero(1 - area == AREA)
        outside |= (flows["message"] == name).to_numpy() & flows["unit"].isin(other).to_numpy()
    return flows[~outside]


def last_bin(flows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the last bin."""
    return flows[flows["bin"] == flows["bin"].max()]


def flow_summary(flows: pd.DataFrame) -> pd.DataFrame:
    """Honest flow per unit within either context, and the share of networks where a unit's flow is significant."""
    names = ["recording", "stage", "message", "context", "bin"]
    within = concerned(flows[flows["context"] != "given"])
    any_unit = within.assign(significant=within["p_max"] < 0.05).groupby([*names, "network"])["significant"].any()
    shares = 100 * any_unit.groupby(names).mean()
    return over_networks(within, names, "honest").merge(shares.reset_index(), on=names)


def lesion_summary(lesions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and the share of choices that stay as they were after every lesion of several units, in per cent."""
    several, measures = lesions[lesions["stage"] != "one"], ("accuracy", "same")
    return pd.concat([over_networks(several, OF_LESIONS, name).assign(measure=name) for name in measures])


def between_contexts(tables: Tables) -> pd.DataFrame:
    """Flow per unit in the last bin and what edges send on, in both contexts and the asking one less the other."""
    flows = concerned(last_bin(tables["flows"]).query("context != 'given' and recording == 'rates'"))
    flows = flows.rename(columns={"honest": "value"}).assign(what="flow")
    sent = tables["sent"].rename(columns={"sent": "value"}).assign(what="sent")
    names = ["stage", "message", "context", "what", "network", "value"]
    both = pd.concat([flows[names], sent[names]]).query("message in @CONTEXTS")
    parts = []
    for message, other in (CONTEXTS, CONTEXTS[::-1]):
        parts.append(with_differences(both[both["message"] == message], "context", [(message, other)]))
    return pd.concat(parts).assign(table="contexts", recording="rates")


def asked(table: pd.DataFrame) -> pd.Series:
    """Which context a row is about: the one that asks for its message, the other, or both where it is neither's."""
    own = np.where(table["message"] == table["context"], "own", "other")
    return pd.Series(np.where(table["message"].isin(CONTEXTS), own, "both"), index=table.index)


def costs(lesions: pd.DataFrame) -> pd.DataFrame:
    """Points of accuracy that every lesion costs a network in a context."""
    intact = lesions[lesions["stage"] == "none"].groupby(["kind", "network", "context"])["accuracy"].first()
    rows = lesions[lesions["stage"] != "none"]
    before = intact.reindex(pd.MultiIndex.from_frame(rows[["kind", "network", "context"]])).to_numpy()
    return rows.assign(value=before - rows["accuracy"])


def contrasts(lesions: pd.DataFrame) -> pd.DataFrame:
    """Points by which lesions of the largest flows cost more than those of the smallest, also between recordings."""
    rows = costs(lesions).query("stage == 'integrating' and which in ('largest', 'smallest')")
    rows = rows.assign(context=asked(rows)).rename(columns={"kind": "what"})
    names = ["recording", "stage", "message", "context", "what", "network", "which", "value"]
    table = with_differences(rows[names], "which", [("largest", "smallest")])
    table = table[table["which"] == "largest − smallest"].drop(columns="which")
    kinds = with_differences(table[table["recording"] == "rates"], "what", [("silent", "mean")])
    recordings = with_differences(table[table["what"] == "mean"], "recording", SPIKES_OR_RATES)
    return pd.concat([kinds, recordings[recordings["recording"] != "rates"]]).assign(table="contrasts")


def without_flow(tables: Tables) -> pd.DataFrame:
    """What integrating units without flow cost, and as many of the largest flow; and how many there are, in per cent.

    Motion and colour: in the context that asks for them. Choice and irrelevant: mean of both contexts.
    """
    rows = costs(tables["lesions"]).query(
        "kind == 'mean' and stage == 'integrating' and which in ('without', 'as many')"
    )
    rows = rows.assign(context=asked(rows)).query("context != 'other'").rename(columns={"which": "what"})
    names = ["recording", "message", "context", "what", "network", "value"]
    cost = with_differences(rows[names], "what", [("as many", "without")])
    units = tables["chosen"].query("stage == 'integrating'")
    share = units.assign(value=100.0 * units["without"], what="share", context=NONE)[names]
    return pd.concat([cost, share]).assign(table="without", stage="integrating")


def effects(lesions: pd.DataFrame) -> pd.DataFrame:
    """Points of accuracy that the lesion of one unit costs, beside each message that it is compared with.

    Motion and colour: in the context that asks for them. Choice and irrelevant: mean of both contexts.
    """
    alone = costs(lesions).query("kind == 'mean' and stage == 'one'").rename(columns={"which": "unit", "value": "lost"})
    alone["unit"] = alone["unit"].astype(int)
    both = alone.groupby(["network", "unit"])["lost"].mean().reset_index()
    parts = [alone.assign(message=alone["context"]), both.assign(message="choice"), both.assign(message="irrelevant")]
    return pd.concat(parts)[["network", "unit", "message", "lost"]]


def predictors(tables: Tables) -> pd.DataFrame:
    """Pearson's r over a network's integrating units of the effect and flow, edge flow, weight and spread.

    Also by how much r is larger with one predictor than with another, and with the flow of another message than with
    that of the irrelevant direction.
    """
    units = tables["chosen"].query("stage == 'integrating'")
    joined = units.assign(edge=units["weight"] * units["flow"]).merge(
        effects(tables["lesions"]), on=["network", "unit", "message"]
    )
    groups = joined.groupby(["recording", "message", "network"], sort=False)[[*PREDICTORS, "lost"]]
    r = groups.apply(lambda table: table[list(PREDICTORS)].corrwith(table["lost"])).reset_index()
    r = r.melt(["recording", "message", "network"], var_name="what").dropna()
    pairs = [("edge", "flow"), ("edge", "weight"), ("spread", "edge")]
    of_flow = with_differences(r[r["what"] == "flow"], "message", [(name, "irrelevant") for name in CHOSEN_BY[:-1]])
    table = pd.concat([with_differences(r, "what", pairs), of_flow[of_flow["message"].str.contains("−")]])
    return table.assign(table="predictors", stage="integrating")


def carried(chosen: pd.DataFrame, most: int) -> pd.DataFrame:
    """What the integrating units with the largest flow of a message carry of each, beside the mean of all units."""
    rows = chosen.query("stage == 'integrating' and recording == 'rates'")
    wide = rows.pivot_table(index=["network", "unit"], columns="message", values="flow")
    parts = [wide.groupby("network").mean().assign(of="all units")]
    for message in CHOSEN_BY:
        largest = wide.sort_values(message).groupby("network").tail(most)
        parts.append(largest.groupby("network").mean().assign(of=message))
    table = pd.concat(parts).rename_axis(columns="").reset_index()
    table = table.melt(["network", "of"], var_name="what").rename(columns={"of": "message"})
    table = with_differences(table, "message", [(name, "all units") for name in CHOSEN_BY])
    return table.assign(table="carried", recording="rates", stage="integrating")


def summaries(tables: Tables, most: int) -> dict[str, pd.DataFrame]:
    """The page's tables by the names of their files: flows by bin, accuracy after lesions, and all other numbers.

    Args:
        tables: a row for every network and more: flows, chosen, lesions, sent.
        most: units that are lesioned at a time.
    """
    parts = [between_contexts(tables), contrasts(tables["lesions"]), without_flow(tables), predictors(tables)]
    long = pd.concat([*parts, carried(tables["chosen"], most)], ignore_index=True).fillna(
        dict.fromkeys(OF_NUMBERS, NONE)
    )
    numbers = over_networks(long, OF_NUMBERS, "value")
    return {"flows": flow_summary(tables["flows"]), "lesions": lesion_summary(tables["lesions"]), "numbers": numbers}
