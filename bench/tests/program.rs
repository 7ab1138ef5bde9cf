//! `subrosa-bench` as a program: it starts its own server, loads it, and says what it measured.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_subrosa-bench");

fn bench(arguments: &[&str]) -> Output {
    Command::new(BENCH).args(arguments).output().unwrap()
}

fn report(arguments: &[&str]) -> Value {
    let output = bench(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn nothing_went_wrong(report: &Value) {
    for name in ["lost", "refused", "closed", "skipped"] {
        assert_eq!(report[name], 0, "{name}: {report}");
    }
}

#[test]
fn loads_a_server_of_its_own_and_reports() {
    let report =
        report(&["--shape", "unicast", "--members", "6", "--senders", "2", "--duration", "1", "--warmup", "0"]);
    nothing_went_wrong(&report);
    assert_eq!(
        (&report["relay"], &report["shape"], &report["connections"]),
        (&"subrosa".into(), &"unicast".into(), &6.into())
    );
    let (p50, p99, longest) =
        (number(&report, "latency_us_p50"), number(&report, "latency_us_p99"), number(&report, "latency_us_max"));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= longest, "{report}");
    for name in ["delivered_per_s", "server_cpu_us_per_message", "handshakes_per_s", "memory_kib", "messages_per_read"]
    {
        assert!(number(&report, name) > 0.0, "{name}: {report}");
    }
    assert!(number(&report, "peak_memory_kib") >= number(&report, "memory_kib"));
}

#[test]
fn every_kind_of_sending_arrives_whole() {
    for shape in ["fanout", "packet", "rooms", "rate"] {
        let rooms = if shape == "rooms" { "5" } else { "1" };
        let report =
            report(&["--shape", shape, "--members", "5", "--rooms", rooms, "--duration", "0.2", "--warmup", "0"]);
        nothing_went_wrong(&report);
        assert!(number(&report, "delivered_per_s") > 0.0, "{report}");
        let bytes = number(&report, "mbytes_per_s") * 1e6 / number(&report, "delivered_per_s");
        assert!((bytes / 256.0 - 1.0).abs() < 0.01, "{shape}: payloads of {bytes} bytes");
    }
}

#[test]
fn measures_members_that_do_nothing_and_a_room_beside_a_flood() {
    let idle = report(&["--shape", "idle", "--members", "4", "--rooms", "3", "--duration", "0.1"]);
    assert_eq!((&idle["touched"], &idle["closed"]), (&12.into(), &0.into()));
    assert!(number(&idle, "kib_per_connection") >= 0.0 && number(&idle, "enter_s") > 0.0, "{idle}");
    let flood = ["--members", "5", "--senders", "2", "--duration", "0.3", "--warmup", "0.1", "--rate", "200"];
    for shape in ["fairness", "flood-fanout"] {
        let report = report(&[&["--shape", shape], &flood[..]].concat());
        assert!(number(&report, "p99_ratio") > 0.0 && number(&report, "flood_per_s") > 0.0, "{report}");
    }
}

#[test]
fn measures_sessions_that_are_away_and_their_return() {
    let report = report(&["--shape", "absent", "--members", "4", "--rooms", "3"]);
    assert_eq!((&report["absent"], &report["not_resumed"]), (&12.into(), &0.into()));
    assert!(number(&report, "returned_per_s") > 0.0 && number(&report, "kib_per_absent") >= 0.0, "{report}");
    assert!(number(&report, "return_ms_p50") <= number(&report, "return_ms_p99"), "{report}");
}

#[test]
fn measures_a_calm_room_under_attack() {
    let attacks = ["list-members", "rooms", "small-events", "descriptors"];
    let list = attacks.join(",");
    let rows = report(&["--shape", "hostile", "--attack", &list, "--duration", "1", "--warmup", "0.1"]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["attack"].as_str().unwrap()).collect::<Vec<_>>(), attacks);
    for row in rows {
        assert!(number(row, "alone_us_p50") > 0.0 && number(row, "attacked_us_max") > 0.0, "{row}");
        assert!(number(row, "steps") > 0.0 && row["lost"] == 0, "{row}");
        assert!(number(row, "memory_peak_kib") >= number(row, "memory_before_kib"), "{row}");
    }
}

#[test]
fn compares_with_the_floor_in_turn() {
    let report =
        report(&["--members", "4", "--senders", "1", "--duration", "0.2", "--compare", "floor", "--rounds", "2"]);
    let order: Vec<_> = report["runs"].as_array().unwrap().iter().map(|run| run["relay"].as_str().unwrap()).collect();
    assert_eq!(order, ["subrosa", "floor", "subrosa", "floor"]);
    assert_eq!(report["medians"].as_array().unwrap().len(), 2);
}

#[test]
fn says_what_is_missing() {
    let said = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let nowhere = Command::new(BENCH)
        .args(["--compare", "nats", "--members", "2", "--duration", "0.1", "--warmup", "0"])
        .env("PATH", "")
        .output()
        .unwrap();
    assert!(said(nowhere).contains("nats-server is not installed"));
    assert!(said(bench(&["--server", "127.0.0.1:1"])).contains("--pin"));
    let pin = format!("-{}", "A".repeat(42));
    let refused = said(bench(&["--server", "127.0.0.1:1", "--pin", &pin, "--members", "2"]));
    assert!(refused.contains("cannot connect"), "{refused}");
}

#[test]
fn another_server_than_the_pinned_one_is_not_loaded() {
    let mut server = Command::new(Path::new(BENCH).with_file_name("subrosa"));
    let folder = std::env::temp_dir().join(format!("subrosa-test-{:032x}", rand::random::<u128>()));
    std::fs::create_dir(&folder).unwrap();
    let mut server = server
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(&folder)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let line = lines.map(Result::unwrap).find(|line| line.contains("listens on")).unwrap();
    let address = line.split("listens on ").nth(1).unwrap().split(": ").next().unwrap();
    let output = bench(&["--server", address, "--pin", &"A".repeat(43), "--members", "2"]);
    server.kill().unwrap();
    server.wait().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("not the pinned one"), "{said}");
}
