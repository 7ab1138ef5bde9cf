"""Plots what growth.sh measured: server CPU per message against size, both logarithmic, one panel a sweep."""

import json
import math
import sys

PANELS = [
    ("Members of the room", [("members-unicast", "one to one"), ("members-packet", "packet to all")]),
    ("Rooms of two, all busy", [("rooms", "one to one")]),
    ("Connections, 100 of them busy", [("connections", "one to one")]),
    ("Payload, bytes", [("payload", "one to one")]),
]
WIDTH, HEIGHT, LEFT, TOP, GAP = 340, 220, 62, 34, 74
COLOURS = ["#1f5fa8", "#b4541a"]


def decades(values):
    """The whole powers of ten around the values, as exponents."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def tick(exponent):
    if exponent >= 6:
        return f"{10 ** (exponent - 6):g} M"
    return f"{10 ** (exponent - 3):g} k" if exponent >= 3 else f"{10.0 ** exponent:g}"


def panel(title, curves, points, left, top):
    drawn = [(name, [(x, y) for x, y in points.get(curve, []) if x > 0 and y]) for curve, name in curves]
    drawn = [(name, line) for name, line in drawn if line]
    out = [f'<text x="{left}" y="{top - 12}" class="title">{title}</text>']
    if not drawn:
        return out + [f'<text x="{left + 8}" y="{top + 24}">not measured</text>']
    (x0, x1), (y0, y1) = (decades([point[axis] for _, line in drawn for point in line]) for axis in (0, 1))

    def across(x):
        return left + (math.log10(x) - x0) / (x1 - x0) * WIDTH

    def down(y):
        return top + HEIGHT - (math.log10(y) - y0) / (y1 - y0) * HEIGHT

    for exponent in range(x0, x1 + 1):
        at = across(10.0**exponent)
        out.append(f'<path class="grid" d="M{at:.1f} {top}V{top + HEIGHT}"/>')
        out.append(f'<text x="{at:.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{tick(exponent)}</text>')
    for exponent in range(y0, y1 + 1):
        at = down(10.0**exponent)
        out.append(f'<path class="grid" d="M{left} {at:.1f}H{left + WIDTH}"/>')
        out.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{tick(exponent)}</text>')
    for number, (name, line) in enumerate(drawn):
        colour = COLOURS[number]
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in line:
            out.append(
                f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5" fill="{colour}">'
                f"<title>{x:,}: {y:.2f} µs</title></circle>"
            )
        if len(drawn) > 1:
            at = top + 16 + 16 * number
            out.append(f'<text x="{left + 8}" y="{at}" style="fill:{colour}">{name}</text>')
    return out


def main():
    points = {}
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            cost = entry["report"]["server_cpu_us_per_message"]
            points.setdefault(entry["curve"], []).append((entry["x"], cost))
    width, height = 2 * (LEFT + WIDTH) + GAP, 2 * (HEIGHT + GAP) + TOP
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">')
    print("<title>Server CPU in microseconds per delivered message against size</title>")
    print("<style>text{font:13px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ccc;stroke-width:1}</style>")
    print(f'<rect width="{width}" height="{height}" fill="#fff"/>')
    for number, (title, curves) in enumerate(PANELS):
        left = LEFT + number % 2 * (WIDTH + GAP)
        top = TOP + number // 2 * (HEIGHT + GAP)
        print("\n".join(panel(title, curves, points, left, top)))
    print(f'<text x="{LEFT}" y="{height - 8}">Up: server CPU in µs per delivered message. Both axes are logarithmic.</text>')
    print("</svg>")


main()
