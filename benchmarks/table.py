"""From rows to a Markdown table: medians, ratios to the best peer, and who was left out and why.

In: rows as `bench.py` appends them. Out: one text. Of each measure the newest commit's rows count. Ratios are
medians of ratios within a round, because each round has its own dialogues.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from measures import Measure

Row = dict[str, Any]
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2, "q8_0": 5e-2}
"""Relative difference from gsa's float32 loss from which a peer does not compute the same thing; 8 bits of
weights and activations change an untuned model's loss by 3% on a few targets."""


def rate(row: Row) -> float:
    """Return targets a second."""
    return float(row["targets"] / row["seconds"])


def newest(rows: Sequence[Row], measure: str) -> list[Row]:
    """Return a measure's rows of the commit and size that were measured last, the last of each round."""
    measured = [row for row in rows if row["measure"] == measure and row["round"] != "calibration"]
    if not measured:
        return []
    last = (measured[-1]["commit"], measured[-1]["dialogues"])
    last_rows = {(r["contestant"], r["round"]): r for r in measured if (r["commit"], r["dialogues"]) == last}
    return list(last_rows.values())


def precision(row: Row) -> str:
    """Return what the frozen weights were in."""
    return str(row.get("precision", "float32"))


def references(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Return gsa's rows in float32 on the tokens of another row, none for gsa's own in float32."""
    if row["ours"] and precision(row) == "float32":
        return []
    tokens = (row["round"], row["layout"])
    ours = [r for r in rows if r.get("ours") and precision(r) == "float32"]
    return [r for r in ours if (r["round"], r["layout"]) == tokens]


def wrong(row: Row, rows: Sequence[Row]) -> str:
    """Say how a loss differs from gsa's on the same tokens; empty if it agrees or is not known."""
    for reference in references(row, rows):
        if row.get("loss") is not None and reference.get("loss") is not None:
            difference = abs(row["loss"] - reference["loss"]) / abs(reference["loss"])
            if difference > TOLERANCE[precision(row)]:
                return f"excluded: loss {row['loss']:.4f}, right is {reference['loss']:.4f}"
    return ""


def agreement(row: Row, rows: Sequence[Row]) -> str:
    """Say on how many targets the answers are gsa's in float32, where both were noted."""
    for reference in references(row, rows):
        if row.get("predictions") and reference.get("predictions"):
            theirs = reference["greedy"] if row.get("decoding") == "greedy" else reference["predictions"]
            equal = sum(a == b for a, b in zip(row["predictions"], theirs, strict=True))
            return f"same answers {equal}/{len(theirs)}"
    return ""


def by_contestant(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows that hold a measurement, of each contestant."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if "failed" not in row:
            grouped.setdefault(row["contestant"], []).append(row)
    return grouped


def ratios(rows: Sequence[Row], others: Sequence[Row], value: Any) -> list[float]:
    """Return a value of `rows` over that of `others`, round by round."""
    by_round = {row["round"]: row for row in others}
    return [value(row) / value(by_round[row["round"]]) for row in rows if row["round"] in by_round]


def _line(name: str, own_rows: Sequence[Row], rows: Sequence[Row]) -> str:
    rates = [rate(row) for row in own_rows]
    peak = median(row["peak_rss_mb"] for row in own_rows)
    losses = [row["loss"] for row in own_rows if row.get("loss") is not None]
    loss = f"{losses[0]:.5f}" if losses else "-"
    share = [row["linear_share"] for row in own_rows if "linear_share" in row]
    notes = [wrong(own_rows[0], rows), agreement(own_rows[0], rows)]
    notes += [f"linear share of peak {median(share):.2f}"] if share else []
    notes += [", ".join(f"{key} {value}" for key, value in own_rows[0].get("settings", {}).items())]
    targets = sum(row["targets"] for row in own_rows)
    return (
        f"| {name} | {median(rates):.3f} | {min(rates):.3f} to {max(rates):.3f} | {len(rates)} | {targets} | "
        f"{peak:.0f} | {loss} | {'; '.join(filter(None, notes))} |"
    )


def _comparisons(grouped: Mapping[str, list[Row]], rows: Sequence[Row], measure: Measure) -> list[str]:
    peers = {n: r for n, r in grouped.items() if not r[0]["ours"] and not any(wrong(row, rows) for row in r)}
    ours = {n: r for n, r in grouped.items() if r[0]["ours"]}
    pairs = [(c.name, c.against) for c in measure.contestants if c.name in grouped and c.against in grouped]
    lines = []
    for name, against in pairs:
        times = [1 / ratio for ratio in ratios(grouped[name], grouped[against], rate)]
        lines += [f"- {name} takes {median(times):.2f} x the time of {against}"] if times else []
    for name, own_rows in ours.items():
        lines += _against(name, own_rows, peers)
    return lines


def _against(name: str, own_rows: Sequence[Row], peers: Mapping[str, list[Row]]) -> list[str]:
    """Compare with the leanest peer and the best: of all, in this precision, on the paper's prompts."""
    lines, compared = [], set()
    kind = precision(own_rows[0])
    alike = {other: rows for other, rows in peers.items() if precision(rows[0]) == kind}
    paper = {other: rows for other, rows in peers.items() if rows[0]["layout"] == "paper"}
    for what, group in (("", peers), (f" in {kind}", alike), (" on the paper's prompts", paper)):
        best = max(group, key=lambda other: median(map(rate, peers[other])), default="")
        speed = ratios(own_rows, peers.get(best, ()), rate)
        if speed and best not in compared:
            lines.append(
                f"- {name}: {median(speed):.2f} x the best peer{what} ({best}; "
                f"rounds {min(speed):.2f} to {max(speed):.2f})"
            )
        compared.add(best)
    if peers:
        lean = min(peers, key=lambda n: median(row["peak_rss_mb"] for row in peers[n]))
        memory = ratios(own_rows, peers[lean], lambda row: row["peak_rss_mb"])
        if memory:
            lines.append(f"- {name}: {median(memory):.2f} x the memory of the leanest peer ({lean})")
    return lines


def section(name: str, rows: Sequence[Row], measure: Measure) -> str:
    """Return one measure's part of the table."""
    grouped = by_contestant(rows)
    gflops = [row["machine"]["gflops"] for row in rows]
    head = (
        f"## {name}\n\nCommit {rows[-1]['commit']}, {rows[-1]['machine']['cpu']}, "
        f"{rows[-1]['machine']['cores']} cores, {min(gflops)} to {max(gflops)} GFLOP/s float32. "
        f"{', '.join(measure.datasets)}, {measure.split}, {rows[-1]['dialogues']} dialogues a dataset.\n"
    )
    if measure.note:
        head += f"{measure.note[0].upper()}{measure.note[1:]}.\n"
    lines = [
        f"| contestant | {measure.unit} | least to most | rounds | targets | peak MB | loss | notes |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(contestant, own_rows, rows) for contestant, own_rows in grouped.items()),
    ]
    lines += [
        f"| {row['contestant']} | - | - | - | - | - | - | failed: {row['failed']} |"
        for row in {row["contestant"]: row for row in rows if "failed" in row}.values()
        if row["contestant"] not in grouped
    ]
    return "\n".join([head, *lines, "", *_comparisons(grouped, rows, measure)])


def table(rows: Sequence[Row], measures: Mapping[str, Measure]) -> str:
    """Return the whole table as Markdown."""
    parts = ["# Side by side", "Made by `make bench` from rows.jsonl."]
    for name, measure in measures.items():
        measured = newest(rows, name)
        if measured:
            parts.append(section(name, measured, measure))
    return "\n\n".join(parts) + "\n"
