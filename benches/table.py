"""Writes the table of docs/performance.md from what table.sh measured: one line of JSON a column."""

import json
import platform
import sys

COLUMNS = [
    ("s1", "S1", ["server_cpu_us_per_message"]),
    ("s2", "S2", ["server_cpu_us_per_message"]),
    ("s2-one", "S2, 1 in flight", ["server_cpu_us_per_message"]),
    ("s3", "S3", ["server_cpu_us_per_message"]),
    ("s4", "S4 (p99)", ["server_cpu_us_per_message", "latency_us_p99"]),
    ("s5", "S5: CPU · p99", ["server_cpu_us_per_message", "latency_us_p99"]),
    ("s6", "S6: KiB/connection · CPU ms/handshake", ["kib_per_connection", "cpu_ms_per_handshake"]),
]
PACKETS = {"s2": "s2-packet", "s3": "s3-packet"}
NAMES = {
    "subrosa": "subrosa",
    "packet": "subrosa, `send-messages`",
    "floor": "floor: the same TLS, nothing checked",
    "nats": "nats-server",
    "mosquitto": "mosquitto",
}


def medians(result):
    """The reports of a result by relay, whether it compares or not."""
    return {report["relay"]: report for report in result.get("medians", [result])}


def shown(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(results, relay, column, fields):
    if relay == "packet":
        column, relay = PACKETS.get(column), "subrosa"
    report = medians(results[column]).get(relay) if column in results else None
    if report is None:
        return "–"
    texts = []
    for field in fields:
        value = report.get(field)
        if field == "latency_us_p99" and value is not None and value >= 10_000:
            texts.append(f"{value / 1000:.0f} ms")
        else:
            texts.append(shown(value))
    return " · ".join(texts)


def main():
    results = {}
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            results[entry["name"]] = entry["result"]
    relays = ["subrosa", "packet"]
    for result in results.values():
        relays += [relay for relay in medians(result) if relay not in relays]
    print(f"Server CPU in µs per delivered message, medians; {platform.machine()}, Linux {platform.release()}.\n")
    print("| | " + " | ".join(title for _, title, _ in COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for relay in relays:
        cells = [cell(results, relay, column, fields) for column, _, fields in COLUMNS]
        print(f"| {NAMES[relay]} | " + " | ".join(cells) + " |")
    for name, words in [("fairness", "beside a room that floods"), ("flood-fanout", "beside fan-outs in a very large room")]:
        if name in results:
            report = medians(results[name])["subrosa"]
            print(
                f"\nA room at {shown(report['moderate_per_s'])} messages/s {words} of {report['members']} members: p99 "
                f"{shown(report['quiet_us_p99'])} µs alone, {shown(report['flooded_us_p99'])} µs then "
                f"(× {report['p99_ratio']:.2f}); held up at most {report['flooded_us_max'] / 1000:.1f} ms."
            )


main()
