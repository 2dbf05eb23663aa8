"""From rows to a Markdown table: medians, ratios to the best peer, and who was left out and why.

In: rows as `bench.py` appends them. Out: one text. Of each measure the newest commit's rows count. Ratios are
medians of ratios within a round, because each round has its own dialogues.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from measures import Measure

Row = dict[str, Any]
TOLERANCE = 1e-4
"""Relative difference of the losses from which a peer does not compute the same thing."""


def rate(row: Row) -> float:
    """Return targets a second."""
    return float(row["targets"] / row["seconds"])


def newest(rows: Sequence[Row], measure: str) -> list[Row]:
    """Return a measure's rows of the commit and size that were measured last, the last of each round."""
    mine = [row for row in rows if row["measure"] == measure and row["round"] != "calibration"]
    if not mine:
        return []
    last = (mine[-1]["commit"], mine[-1]["dialogues"])
    found = {(r["contestant"], r["round"]): r for r in mine if (r["commit"], r["dialogues"]) == last}
    return list(found.values())


def wrong(row: Row, rows: Sequence[Row]) -> str:
    """Say how a peer's loss differs from gsa's on the same tokens; empty if it agrees or is not known."""
    for other in rows:
        same = other.get("ours") and (other["round"], other["layout"]) == (row["round"], row["layout"])
        if same and not row["ours"] and row.get("loss") is not None and other.get("loss") is not None:
            difference = abs(row["loss"] - other["loss"]) / abs(other["loss"])
            if difference > TOLERANCE:
                return f"excluded: loss {row['loss']:.4f}, right is {other['loss']:.4f}"
    return ""


def agreement(row: Row, rows: Sequence[Row]) -> str:
    """Say on how many targets a peer's answers are gsa's, where both were noted."""
    for other in rows:
        same = other.get("ours") and (other["round"], other["layout"]) == (row["round"], row["layout"])
        if same and not row["ours"] and row.get("predictions") and other.get("predictions"):
            theirs = other["greedy"] if row.get("decoding") == "greedy" else other["predictions"]
            equal = sum(a == b for a, b in zip(row["predictions"], theirs, strict=True))
            return f"same answers {equal}/{len(theirs)}"
    return ""


def by_contestant(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows that hold a measurement, of each contestant."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if "failed" not in row:
            found.setdefault(row["contestant"], []).append(row)
    return found


def ratios(mine: Sequence[Row], theirs: Sequence[Row], what: Any) -> list[float]:
    """Return mine over theirs, round by round."""
    other = {row["round"]: row for row in theirs}
    return [what(row) / what(other[row["round"]]) for row in mine if row["round"] in other]


def _line(name: str, mine: Sequence[Row], rows: Sequence[Row]) -> str:
    rates = [rate(row) for row in mine]
    peak = median(row["peak_rss_mb"] for row in mine)
    losses = [row["loss"] for row in mine if row.get("loss") is not None]
    loss = f"{losses[0]:.5f}" if losses else "-"
    share = [row["linear_share"] for row in mine if "linear_share" in row]
    notes = [wrong(mine[0], rows), agreement(mine[0], rows)]
    notes += [f"linear share of peak {median(share):.2f}"] if share else []
    notes += [", ".join(f"{key} {value}" for key, value in mine[0].get("settings", {}).items())]
    targets = sum(row["targets"] for row in mine)
    return (
        f"| {name} | {median(rates):.3f} | {min(rates):.3f} to {max(rates):.3f} | {len(rates)} | {targets} | "
        f"{peak:.0f} | {loss} | {'; '.join(filter(None, notes))} |"
    )


def _comparisons(found: Mapping[str, list[Row]], rows: Sequence[Row], measure: Measure) -> list[str]:
    peers = {n: r for n, r in found.items() if not r[0]["ours"] and not any(wrong(row, rows) for row in r)}
    ours = {n: r for n, r in found.items() if r[0]["ours"]}
    pairs = [(c.name, c.against) for c in measure.contestants if c.name in found and c.against in found]
    lines = []
    for name, other in pairs:
        times = [1 / ratio for ratio in ratios(found[name], found[other], rate)]
        lines += [f"- {name} takes {median(times):.2f} x the time of {other}"] if times else []
    if not peers:
        return lines
    best = max(peers, key=lambda name: median(map(rate, peers[name])))
    lean = min(peers, key=lambda name: median(row["peak_rss_mb"] for row in peers[name]))
    for name, mine in ours.items():
        speed = ratios(mine, peers[best], rate)
        memory = ratios(mine, peers[lean], lambda row: row["peak_rss_mb"])
        if speed:
            lines.append(
                f"- {name}: {median(speed):.2f} x the best peer ({best}; "
                f"rounds {min(speed):.2f} to {max(speed):.2f})"
            )
        if memory:
            lines.append(f"- {name}: {median(memory):.2f} x the memory of the leanest peer ({lean})")
    return lines


def section(name: str, rows: Sequence[Row], measure: Measure) -> str:
    """Return one measure's part of the table."""
    found = by_contestant(rows)
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
        *(_line(contestant, mine, rows) for contestant, mine in found.items()),
    ]
    lines += [
        f"| {row['contestant']} | - | - | - | - | - | - | failed: {row['failed']} |"
        for row in {row["contestant"]: row for row in rows if "failed" in row}.values()
        if row["contestant"] not in found
    ]
    return "\n".join([head, *lines, "", *_comparisons(found, rows, measure)])


def table(rows: Sequence[Row], measures: Mapping[str, Measure]) -> str:
    """Return the whole table as Markdown."""
    parts = ["# Side by side", "Made by `make bench` from rows.jsonl."]
    for name, measure in measures.items():
        mine = newest(rows, name)
        if mine:
            parts.append(section(name, mine, measure))
    return "\n\n".join(parts) + "\n"
