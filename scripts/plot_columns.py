"""Draws where the bytes of a dataset are: one bar a column of its shards, beside the input's total.

  python scripts/plot_columns.py demo-output/aoj_sample.pando docs/images/columns.svg
"""
import json
import pathlib
import sys
from xml.sax.saxutils import escape

COLOURS = {"lattice": "#2f6f4f", "residual": "#2f6f4f", "narrow": "#d08c2e", "exact": "#4a6fa5", "derived": "#8a8f98", "exception": "#b0413e"}
MEANING = {
    "lattice": "four-momenta on the lattice of CMS, with residuals",
    "narrow": "narrowed to 8 or 16 bits, proven to come back",
    "exception": "exceptions: the original bits of what does not come back",
    "exact": "event and jet columns, as they were",
    "derived": "derived: sums, counts, place in the input",
}
WIDTH, LEFT, RIGHT, BAR, GAP = 860, 190, 90, 13, 4


def bars(catalogue):
    """(name, bytes, kind), largest first; small ones of a kind are put together."""
    columns = [(column["name"], column["bytes"], column["codec"]) for column in catalogue["columns"]]
    limit = sum(size for _, size, _ in columns) / 150
    small = {}
    for name, size, kind in columns:
        if size < limit:
            small.setdefault("lattice" if kind == "residual" else kind, []).append(size)
    large = [column for column in columns if column[1] >= limit]
    large += [(f"{len(sizes)} small {kind} columns", sum(sizes), kind) for kind, sizes in small.items()]
    return sorted(large, key=lambda column: -column[1])


def text(x, y, words, anchor="start", weight="normal", colour="#222"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{escape(words)}</text>'


def draw(catalogue):
    rows = bars(catalogue)
    source = sum(entry["bytes"] for entry in catalogue["provenance"]["inputs"])
    whole = [("the input, HDF5 with gzip", source, "#555"), ("all shards", catalogue["bytes"], "#2f6f4f")]
    out, y = [], 44
    space = WIDTH - LEFT - RIGHT
    title = f"{catalogue['rows']:,} jets, {catalogue['constituents']:,} constituents: {catalogue['bytes'] / source:.3f} of the bytes"
    out.append(text(12, 24, title, weight="bold"))
    for name, size, colour in whole:
        out += bar(y, name, size, size / source * space, colour)
        y += BAR + GAP
    y += 22
    out.append(text(12, y, "of which, by column (other scale):", weight="bold"))
    y += 10
    for name, size, kind in rows:
        out += bar(y, name, size, size / rows[0][1] * space, COLOURS[kind])
        y += BAR + GAP
    y += 8
    for kind, meaning in MEANING.items():
        out.append(f'<rect x="12" y="{y}" width="{BAR}" height="{BAR}" fill="{COLOURS[kind]}"/>' + text(32, y + 11, meaning))
        y += BAR + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 8}" font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *out, "</svg>", ""])


def bar(y, name, size, length, colour):
    yield text(LEFT - 8, y + 11, name, anchor="end")
    yield f'<rect x="{LEFT}" y="{y}" width="{max(length, 0.5):.1f}" height="{BAR}" fill="{colour}"/>'
    yield text(round(LEFT + length + 6, 1), y + 11, f"{size / 1000:,.1f} kB", colour="#555")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[2]).write_text(draw(json.loads((pathlib.Path(sys.argv[1]) / "dataset.json").read_text())))
