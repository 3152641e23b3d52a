"""The tables of ``circuit.md``, from the tables in its CSV files alone, which ``circuit.py`` writes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from circuit_network import STEP_SECONDS, STEPS_OF_BIN
from circuit_numbers import CHOSEN_BY, CONTEXTS, NONE, PREDICTORS, SPIKES_OR_RATES, STAGES, last_bin
from measuring import markdown

MARKS = "<!-- {} -->", "<!-- end of {} -->"  # around the tables of the page
SHOWN = ("rates", "half the spikes")  # in figures and longer tables
HEADS = {"flow": "flow F", "edge": "edge flow Σ \\|w\\|·F", "weight": "weight Σ \\|w\\|", "spread": "spread"}
LESIONS = [("none", "none")] + [(message, which) for message in CHOSEN_BY for which in ("largest", "smallest")]
CONTRASTS = [
    *((message, context) for message in CONTEXTS for context in ("own", "other")),
    *((message, "both") for message in CHOSEN_BY[2:]),
]


def row_of(summary: pd.DataFrame, **where: object) -> pd.Series | None:
    """The row of a summary that this is true of, None if there is none."""
    chosen = summary[np.logical_and.reduce([summary[name] == value for name, value in where.items()])]
    if len(chosen) > 1:
        raise ValueError(f"{len(chosen)} rows of {where}")
    return chosen.iloc[0] if len(chosen) else None


def interval(summary: pd.DataFrame, form: str, **where: object) -> str:
    """Mean and interval of the row that this is true of; the sign of a rounded zero says on which side it lies."""
    row = row_of(summary, **where)
    return NONE if row is None else f"{row['mean']:{form}} ({row['low']:{form}}, {row['high']:{form}})"


def share(flows: pd.DataFrame, **where: object) -> str:
    """The per cent of networks with significant flow in the row that this is true of."""
    row = row_of(flows, **where)
    return NONE if row is None else f"{row['significant']:.0f} %"


def gate_table(flows: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """Flows of motion and colour in the last bin by stage and context, and what edges send on by weight."""
    last, both, rows = last_bin(flows), numbers[numbers["table"] == "contexts"], []
    for message, stage in ((message, stage) for message in CONTEXTS for stage in STAGES):
        other = CONTEXTS[1 - CONTEXTS.index(message)]
        for context in (*CONTEXTS, f"{message} − {other}"):
            where = {"stage": stage, "message": message, "context": context}
            cells = [interval(both, ".4f", what="flow", **where), share(last, recording="rates", **where)]
            rows.append((message, stage, context, *cells, interval(both, ".2f", what="sent", **where)))
    return markdown(
        ("flow of", "stage", "context", "bits per unit", "significant in", "Σ \\|w\\|·F to the next stage"), rows
    )


def output_table(flows: pd.DataFrame) -> str:
    """Flow at the output of the direction that the context does not ask for, bin by bin."""
    bins = sorted(set(flows["bin"]))
    rows = []
    for message, context in (CONTEXTS, CONTEXTS[::-1]):
        where = {"recording": "rates", "stage": "output", "message": message, "context": context}
        rows.append((f"{message}, {context} context, bits", *(interval(flows, ".4f", bin=k, **where) for k in bins)))
        rows.append(("significant in", *(share(flows, bin=k, **where) for k in bins)))
    return markdown(("", *(f"{(k + 1) * STEPS_OF_BIN * STEP_SECONDS:.2f} s" for k in bins)), rows)


def stream_table(lesions: pd.DataFrame) -> str:
    """Accuracy, and choices that stay as they were, after lesions of the units of the largest flows in the streams."""
    chosen = lesions[(lesions["kind"] == "mean") & lesions["recording"].isin((NONE, "rates"))]
    columns = [(measure, context) for measure in ("accuracy", "same") for context in CONTEXTS]
    rows = []
    for message, stage, which in (("none",) * 3, *((message, "streams", "largest") for message in CONTEXTS)):
        where = {"stage": stage, "message": message, "which": which}
        cells = [interval(chosen, ".1f", measure=measure, context=context, **where) for measure, context in columns]
        rows.append((message if message == "none" else f"largest flow of {message}", *cells))
    words = {"accuracy": "accuracy", "same": "same choices"}
    return markdown(("lesion", *(f"{words[measure]}, {context} context" for measure, context in columns)), rows)


def lesion_table(lesions: pd.DataFrame) -> str:
    """Accuracy that is left after every lesion of integrating units by rates, by context."""
    chosen = lesions[(lesions["kind"] == "mean") & lesions["recording"].isin((NONE, "rates"))]
    chosen = chosen[chosen["stage"].isin(("none", "integrating")) & (chosen["measure"] == "accuracy")]
    rows = []
    for message, which in LESIONS:
        cells = [interval(chosen, ".1f", message=message, which=which, context=context) for context in CONTEXTS]
        rows.append(("none" if which == "none" else f"{which} flow of {message}", *cells))
    return markdown(("lesion", *(f"accuracy, {context} context" for context in CONTEXTS)), rows)


def without_table(numbers: pd.DataFrame) -> str:
    """What lesions cost of the integrating units without flow, and of as many of the largest."""
    of_table, rows = numbers[numbers["table"] == "without"], []
    lesions = ("without", "as many", "as many − without")
    for recording, message in ((recording, message) for recording in SHOWN for message in CHOSEN_BY):
        where = {"recording": recording, "message": message}
        cells = [interval(of_table, "+.1f", what=what, **where) for what in lesions]
        lesioned, units = row_of(of_table, what="without", **where), row_of(of_table, what="share", **where)
        count = 0 if lesioned is None else lesioned["networks"]
        rows.append((recording, message, NONE if units is None else f"{units['mean']:.1f} %", count, *cells))
    columns = ("recording", "flow of", "units without flow", "networks with some")
    return markdown((*columns, "cost of these", "of as many of the largest flow", "difference"), rows)


def carried_table(numbers: pd.DataFrame) -> str:
    """Flows of the integrating units that are lesioned, less those of all."""
    of_table = numbers[numbers["table"] == "carried"]
    every = [interval(of_table, ".3f", message="all units", what=what) for what in CHOSEN_BY]
    rows = [("all units", *every)]
    for message in CHOSEN_BY:
        cells = [interval(of_table, "+.3f", message=f"{message} − all units", what=what) for what in CHOSEN_BY]
        rows.append((f"largest flow of {message}, less all", *cells))
    return markdown(("units", *(f"flow of {what}" for what in CHOSEN_BY)), rows)


def predictor_table(numbers: pd.DataFrame) -> str:
    """What goes with the effect of a unit's lesion, by recording and message."""
    of_table, rows = numbers[numbers["table"] == "predictors"], []
    for recording, message in ((recording, message) for recording in SHOWN for message in CHOSEN_BY):
        where = {"recording": recording, "message": message}
        rows.append((recording, message, *(interval(of_table, "+.2f", what=what, **where) for what in PREDICTORS)))
    return markdown(("recording", "message", *(HEADS[what] for what in PREDICTORS)), rows)


def predictor_differences(numbers: pd.DataFrame) -> str:
    """By how much r is larger with one predictor than with another, and with a message than with the irrelevant one."""
    of_table, rows = numbers[numbers["table"] == "predictors"], []
    pairs = [("edge", "flow"), ("edge", "weight"), ("spread", "edge")]
    for recording, message in ((recording, message) for recording in SHOWN for message in CHOSEN_BY):
        where = {"recording": recording, "message": message}
        cells = [interval(of_table, "+.2f", what=f"{a} − {b}", **where) for a, b in pairs]
        irrelevant = {"recording": recording, "message": f"{message} − irrelevant", "what": "flow"}
        rows.append((recording, message, *cells, interval(of_table, "+.2f", **irrelevant)))
    words = {"flow": "flow", "edge": "edge flow", "weight": "weight", "spread": "spread"}
    heads = (*(f"{words[a]} − {words[b]}" for a, b in pairs), "flow of message − of irrelevant")
    return markdown(("recording", "message", *heads), rows)


def recordings_table(flows: pd.DataFrame, numbers: pd.DataFrame) -> str:
    """A row for every finding, a column for every recording."""
    last, of_table = last_bin(flows), numbers[numbers["table"] == "contrasts"]
    recordings, rows = list(dict.fromkeys(last["recording"])), []
    for stage, context in ((stage, context) for stage in tuple(STAGES)[:2] for context in CONTEXTS):
        where = {"stage": stage, "message": "colour", "context": context}
        cells = [interval(last, ".3f", recording=name, **where) for name in recordings]
        rows.append((f"colour flow per unit, {stage}, {context} context, bits", *cells))
        rows.append(("significant in", *(share(last, recording=name, **where) for name in recordings)))
    for message, context in CONTRASTS:
        where = {"message": message, "context": context, "what": "mean"}
        cells = [interval(of_table, "+.1f", recording=name, **where) for name in recordings]
        rows.append((f"largest less smallest {message} flow, {context_name(context)}, points", *cells))
    return markdown(("", *recordings), rows)


def context_name(context: str) -> str:
    """The words for the contexts that a contrast is about."""
    return f"{context} context" + "s" * (context == "both")


def contrast_differences(numbers: pd.DataFrame) -> str:
    """How contrasts of lesions change with spikes in the place of rates, and with silence in the place of the mean."""
    of_table, rows = numbers[numbers["table"] == "contrasts"], []
    for message, context in CONTRASTS:
        where = {"message": message, "context": context}
        cells = [interval(of_table, "+.1f", recording=f"{a} − {b}", what="mean", **where) for a, b in SPIKES_OR_RATES]
        silent = [
            interval(of_table, "+.1f", recording="rates", what=what, **where) for what in ("silent", "silent − mean")
        ]
        rows.append((f"{message} flow, {context_name(context)}", *cells, *silent))
    heads = (*(f"{a} − {b}" for a, b in SPIKES_OR_RATES), "silent, rates", "silent − mean, rates")
    return markdown(("largest less smallest, points", *heads), rows)


def page_tables(summaries: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """All tables of the page by the names of their markers."""
    flows, lesions, numbers = (summaries[name] for name in ("flows", "lesions", "numbers"))
    return {
        "gate": gate_table(flows, numbers),
        "output": output_table(flows),
        "streams": stream_table(lesions),
        "lesions": lesion_table(lesions),
        "units without flow": without_table(numbers),
        "carried": carried_table(numbers),
        "predictors": predictor_table(numbers),
        "differences of predictors": predictor_differences(numbers),
        "recordings": recordings_table(flows, numbers),
        "differences of recordings": contrast_differences(numbers),
    }
