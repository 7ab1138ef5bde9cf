//! Figures for people and for programs: one run, and several relays side by side.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::absent::AbsentFigures;
use super::fairness::FairnessFigures;
use super::idle::IdleFigures;
use super::load::LoadFigures;
use super::server::Relay;
use super::shape::Plan;

/// What a run measured.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Figures {
    Load(LoadFigures),
    Idle(IdleFigures),
    Fairness(FairnessFigures),
    Absent(AbsentFigures),
}

/// One run against one server.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Report {
    pub(super) relay: Relay,
    #[serde(flatten)]
    pub(super) plan: Plan,
    /// What of the set-up belongs to every shape.
    #[serde(flatten)]
    pub(super) set_up: SetUp,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Set-up and memory, with every shape but `idle`, which measures them with more care.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct SetUp {
    pub(super) connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handshakes_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_ms_per_handshake: Option<f64>,
    /// At the end.
    pub(super) memory_kib: Option<u64>,
    pub(super) peak_memory_kib: Option<u64>,
}

impl SetUp {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            connections,
            handshakes_per_s: None,
            cpu_ms_per_handshake: None,
            memory_kib: None,
            peak_memory_kib: None,
        }
    }
}

/// Fields of a report that say what was done rather than what came of it.
const GIVEN: [&str; 14] = [
    "relay",
    "shape",
    "members",
    "rooms",
    "active_rooms",
    "connections",
    "senders",
    "payload",
    "key_bytes",
    "inflight",
    "rate",
    "targets",
    "duration_s",
    "warmup_s",
];
/// Figures in the order in which people want to know them, with what a table calls them.
const FIGURES: [(&str, &str); 46] = [
    ("delivered_per_s", "delivered messages/s"),
    ("mbytes_per_s", "delivered MB/s"),
    ("server_cpu_us_per_message", "server CPU, µs/message"),
    ("server_user_us_per_message", "  of it in user mode"),
    ("server_system_us_per_message", "  of it in the kernel"),
    ("server_busy", "processors kept busy, server"),
    ("generator_busy", "processors kept busy, load"),
    ("latency_us_p50", "latency p50, µs"),
    ("latency_us_p99", "latency p99, µs"),
    ("latency_us_p999", "latency p99.9, µs"),
    ("latency_us_max", "latency, longest, µs"),
    ("messages_per_read", "messages per read"),
    ("messages_per_frame", "messages per frame"),
    ("handshakes_per_s", "handshakes/s"),
    ("cpu_ms_per_handshake", "server CPU, ms/handshake"),
    ("enter_s", "entering all rooms, s"),
    ("cpu_ms_per_entry", "server CPU, ms/entry"),
    ("empty_kib", "memory without members, KiB"),
    ("kib_per_connection", "memory, KiB/connection"),
    ("touched_kib_per_connection", "  after a message over each"),
    ("touched", "  such messages"),
    ("idle_cpu_percent", "idle, % of a processor"),
    ("absent", "sessions that were away"),
    ("kib_per_absent", "memory, KiB/absent session"),
    ("return_s", "return of all, s"),
    ("returned_per_s", "returns/s"),
    ("return_ms_p50", "one return p50, ms"),
    ("return_ms_p99", "one return p99, ms"),
    ("cpu_ms_per_return", "server CPU, ms/return"),
    ("not_resumed", "sessions not resumed"),
    ("quiet_us_p50", "p50 without flood, µs"),
    ("quiet_us_p99", "p99 without flood, µs"),
    ("quiet_us_max", "longest without flood, µs"),
    ("flooded_us_p50", "p50 beside the flood, µs"),
    ("flooded_us_p99", "p99 beside the flood, µs"),
    ("flooded_us_p999", "p99.9 beside the flood, µs"),
    ("flooded_us_max", "longest beside the flood, µs"),
    ("p99_ratio", "p99 beside / without"),
    ("moderate_per_s", "measured messages/s"),
    ("flood_per_s", "the flood's messages/s"),
    ("memory_kib", "memory at the end, KiB"),
    ("peak_memory_kib", "memory at most, KiB"),
    ("lost", "messages lost"),
    ("skipped", "messages not sent in time"),
    ("refused", "refusals"),
    ("closed", "connections lost"),
];
/// The figure by which relays are compared: of those that a shape has, the first.
const DECISIVE: [&str; 5] =
    ["server_cpu_us_per_message", "kib_per_connection", "kib_per_absent", "p99_ratio", "delivered_per_s"];

/// All runs of a call.
pub(super) struct Reports(Vec<(Relay, Map<String, Value>)>);

impl Reports {
    pub(super) fn new(reports: &[Report]) -> Self {
        let object = |report: &Report| match serde_json::to_value(report) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self(reports.iter().map(|report| (report.relay, object(report))).collect())
    }

    /// Relays in the order in which they first ran.
    fn relays(&self) -> Vec<Relay> {
        let mut relays = Vec::new();
        for (relay, _) in &self.0 {
            if !relays.contains(relay) {
                relays.push(*relay);
            }
        }
        relays
    }

    /// A relay's report with the median of every figure over its runs.
    fn median_of(&self, relay: Relay) -> Map<String, Value> {
        let runs: Vec<_> = self.0.iter().filter(|(other, _)| *other == relay).map(|(_, fields)| fields).collect();
        let mut medians = runs.first().map(|fields| (*fields).clone()).unwrap_or_default();
        for (name, value) in &mut medians {
            let figures: Vec<f64> = runs.iter().filter_map(|fields| fields.get(name)?.as_f64()).collect();
            if !GIVEN.contains(&name.as_str()) && !figures.is_empty() {
                *value = rounded(median(figures));
            }
        }
        medians
    }

    /// One object: of a single run its report, of several their medians, ratios to the first relay, and every run.
    pub(super) fn to_json(&self) -> Value {
        let relays = self.relays();
        let [first, ..] = relays[..] else { return Value::Null };
        if self.0.len() == 1 {
            return Value::Object(self.median_of(first));
        }
        let medians: Vec<_> = relays.iter().map(|relay| self.median_of(*relay)).collect();
        let ratios: Map<String, Value> = relays
            .iter()
            .zip(&medians)
            .filter_map(|(relay, fields)| Some((relay.name().to_owned(), ratio(fields, &medians[0])?.into())))
            .collect();
        let runs: Vec<_> = self.0.iter().map(|(_, fields)| fields).collect();
        serde_json::json!({"medians": medians, "decisive": decisive(&medians[0]), "ratios": ratios, "runs": runs})
    }

    /// A table: a line for each figure, a column for each relay.
    pub(super) fn to_table(&self) -> String {
        let relays = self.relays();
        let columns: Vec<_> = relays.iter().map(|relay| self.median_of(*relay)).collect();
        let Some(first) = columns.first() else { return String::new() };
        let mut out = String::new();
        let given: Vec<_> =
            GIVEN.iter().skip(1).filter_map(|name| Some(format!("{name} {}", text(first.get(*name)?)))).collect();
        let runs = self.0.len() / columns.len();
        let _ = writeln!(out, "{}\n", given.join(", "));
        if runs > 1 {
            let _ = writeln!(out, "Medians of {runs} rounds in turn.\n");
        }
        let mut line = |name: &str, cells: Vec<String>| {
            let cells: String = cells.iter().map(|cell| format!("{cell:>14}")).collect();
            let _ = writeln!(out, "{name:<32}{cells}");
        };
        if columns.len() > 1 {
            line("", relays.iter().map(|relay| relay.name().to_owned()).collect());
        }
        for (name, label) in FIGURES.into_iter().filter(|(name, _)| first.contains_key(*name)) {
            line(label, columns.iter().map(|fields| fields.get(name).map_or(String::new(), text)).collect());
        }
        if columns.len() > 1 && decisive(first).is_some() {
            let ratios =
                columns.iter().map(|fields| ratio(fields, first).map_or(String::new(), |ratio| format!("× {ratio}")));
            line("ratio of what decides", ratios.collect());
        }
        out
    }
}

/// The name of the figure that decides.
fn decisive(fields: &Map<String, Value>) -> Option<&'static str> {
    DECISIVE.into_iter().find(|name| fields.get(*name).is_some_and(Value::is_number))
}

/// A relay's decisive figure over the first relay's, to two places.
fn ratio(fields: &Map<String, Value>, first: &Map<String, Value>) -> Option<f64> {
    let name = decisive(first)?;
    let ratio = fields.get(name)?.as_f64()? / first.get(name)?.as_f64()?;
    ratio.is_finite().then(|| (ratio * 100.0).round() / 100.0)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}

/// Four significant digits are more than these measurements have.
fn rounded(figure: f64) -> Value {
    let digits = (3 - figure.abs().max(1e-9).log10().floor() as i32).clamp(0, 6);
    let scale = 10f64.powi(digits);
    let rounded = (figure * scale).round() / scale;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 { (rounded as i64).into() } else { rounded.into() }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Latency;
    use serde_json::json;

    fn reports(runs: &[(Relay, f64)]) -> Reports {
        let fields = |cpu: f64| match json!({"shape": "unicast", "server_cpu_us_per_message": cpu, "lost": 0, "server_busy": null})
        {
            Value::Object(fields) => fields,
            _ => unreachable!(),
        };
        Reports(runs.iter().map(|(relay, cpu)| (*relay, fields(*cpu))).collect())
    }

    #[test]
    fn compares_medians() {
        let runs = [
            (Relay::Subrosa, 2.0),
            (Relay::Nats, 9.0),
            (Relay::Subrosa, 1.0),
            (Relay::Nats, 3.0),
            (Relay::Subrosa, 9.0),
            (Relay::Nats, 5.0),
        ];
        let json = reports(&runs).to_json();
        assert_eq!(json["medians"][0]["server_cpu_us_per_message"], json!(2));
        assert_eq!(json["medians"][1]["server_cpu_us_per_message"], json!(5));
        assert_eq!(json["ratios"], json!({"subrosa": 1.0, "nats": 2.5}));
        assert_eq!(
            (json["decisive"].as_str(), json["runs"].as_array().unwrap().len()),
            (Some("server_cpu_us_per_message"), 6)
        );
        let table = reports(&runs).to_table();
        assert!(
            table.contains("Medians of 3 rounds") && table.contains("× 2.5") && table.contains("unknown"),
            "{table}"
        );
    }

    #[test]
    fn a_single_run_is_its_report() {
        let json = reports(&[(Relay::Subrosa, 1.234_56)]).to_json();
        assert_eq!(json["server_cpu_us_per_message"], json!(1.235));
        assert_eq!(json["shape"], "unicast");
    }

    #[test]
    fn medians_and_rounding() {
        assert_eq!(median(vec![3.0, 1.0]), 2.0);
        assert_eq!(median(vec![5.0, 1.0, 2.0]), 2.0);
        let pairs =
            [(123_456.7, json!(123_457)), (0.012_345, json!(0.01235)), (12.3456, json!(12.35)), (0.0, json!(0))];
        assert!(pairs.into_iter().all(|(figure, shown)| rounded(figure) == shown));
    }

    #[test]
    fn every_field_has_its_place_in_the_table() {
        let latency = Latency { latency_us_p50: 0.0, latency_us_p99: 0.0, latency_us_p999: 0.0, latency_us_max: 0.0 };
        let load = LoadFigures {
            delivered_per_s: 0.0,
            mbytes_per_s: 0.0,
            server_cpu_us_per_message: None,
            server_user_us_per_message: None,
            server_system_us_per_message: None,
            server_busy: None,
            generator_busy: 0.0,
            latency,
            messages_per_read: 0.0,
            messages_per_frame: 0.0,
            lost: 0,
            skipped: 0,
            refused: 0,
            closed: 0,
        };
        let fairness = crate::fairness::tests::figures_of(&load);
        let idle = IdleFigures {
            handshakes_per_s: 0.0,
            cpu_ms_per_handshake: None,
            enter_s: 0.0,
            cpu_ms_per_entry: None,
            empty_kib: None,
            kib_per_connection: None,
            touched_kib_per_connection: None,
            touched: 0,
            idle_cpu_percent: None,
            closed: 0,
        };
        let absent = AbsentFigures {
            absent: 0,
            empty_kib: None,
            kib_per_absent: None,
            return_s: 0.0,
            returned_per_s: 0.0,
            return_ms_p50: 0.0,
            return_ms_p99: 0.0,
            cpu_ms_per_return: None,
            not_resumed: 0,
        };
        let plan = crate::shape::tests::plan("");
        let mut shown = std::collections::HashSet::new();
        for figures in [Figures::Load(load), Figures::Idle(idle), Figures::Fairness(fairness), Figures::Absent(absent)]
        {
            let set_up = SetUp { handshakes_per_s: Some(0.0), cpu_ms_per_handshake: Some(0.0), ..SetUp::new(1) };
            let report = Report { relay: Relay::Floor, plan: plan.clone(), set_up, figures };
            let Value::Object(fields) = serde_json::to_value(report).unwrap() else { panic!("no object") };
            shown.extend(fields.into_iter().map(|(name, _)| name));
        }
        let known: std::collections::HashSet<_> =
            GIVEN.into_iter().chain(FIGURES.map(|(name, _)| name)).map(str::to_owned).collect();
        assert_eq!(shown, known);
    }
}
