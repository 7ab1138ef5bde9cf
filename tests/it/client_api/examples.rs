//! Every example frame is one that the codec reads and would write itself, field by field.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use subrosa::protocol::command::{self, Command};
use subrosa::protocol::event::Event;
use subrosa::protocol::limits::Limits;

use super::document::{blocks, codes, held, table};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn is(info: &str, direction: &str) -> bool {
    info.split(' ').any(|word| word == direction)
}

/// The commands that are examples of what is taken.
fn commands() -> Vec<Value> {
    let good = blocks("json").into_iter().filter(|block| block.info == "json c2s");
    good.map(|block| parsed(&block.text)).collect()
}

#[test]
fn commands_are_read_and_written_the_same() {
    let limits = Limits::default();
    for example in commands() {
        let text = example.to_string();
        let request = command::parse(&text, &limits).unwrap_or_else(|refused| panic!("{refused:?}: {text}"));
        assert_eq!(parsed(&request.command.to_frame(request.id.as_deref())), example, "a field is not known");
    }
}

#[test]
fn events_are_read_and_written_the_same() {
    for block in blocks("json").into_iter().filter(|block| is(&block.info, "s2c")) {
        let read = Event::from_json(&block.text).unwrap_or_else(|error| panic!("{error}: {}", block.text));
        let (id, event) = read.unwrap_or_else(|| panic!("no such event: {}", block.text));
        let written: Value = serde_json::from_slice(&event.to_json(id.as_deref())).unwrap();
        assert_eq!(written, parsed(&block.text), "a field is not known");
    }
}

#[test]
fn refused_frames_are_refused_for_that() {
    let mut cases = 0;
    for block in blocks("json") {
        let Some(code) = block.info.strip_prefix("json c2s refused=") else { continue };
        let refused = command::parse(&block.text, &Limits::default()).unwrap_err();
        assert_eq!(refused.code.as_str(), code, "{}", block.text);
        cases += 1;
    }
    assert!(cases > 0);
}

#[test]
fn nothing_is_without_an_example() {
    let commands: BTreeSet<_> = commands().iter().map(|example| example["cmd"].as_str().unwrap().to_owned()).collect();
    assert_eq!(commands, Command::NAMES.iter().map(|name| (*name).to_owned()).collect());
    let events = blocks("json").into_iter().filter(|block| is(&block.info, "s2c"));
    let events: BTreeSet<_> = events.map(|block| parsed(&block.text)["cmd"].as_str().unwrap().to_owned()).collect();
    for name in Event::NAMES {
        assert!(events.contains(*name), "{name} has no example");
    }
    assert!(events.iter().any(|name| name.ends_with("-error")));
}

#[test]
fn every_info_string_is_one_that_is_run() {
    for block in blocks("json") {
        let known =
            ["json c2s", "json s2c"].contains(&block.info.as_str()) || block.info.starts_with("json c2s refused=");
        assert!(known, "nobody runs a block {:?}", block.info);
    }
}

#[test]
fn fields_are_those_of_the_tables() {
    let tables = held();
    for name in Command::NAMES {
        assert!(tables.contains(&format!("fields {name}")), "{name} has no table of fields");
        let examples: Vec<_> = commands().into_iter().filter(|example| example["cmd"] == *name).collect();
        let in_examples: BTreeSet<_> = examples
            .iter()
            .flat_map(|example| example["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>())
            .collect();
        let rows = table(&format!("fields {name}"));
        let in_table: BTreeSet<_> = rows.iter().map(|row| codes(&row[0])[0].to_owned()).collect();
        assert_eq!(in_examples, in_table, "{name}");
        for row in &rows {
            let field = codes(&row[0])[0];
            let with = examples.iter().find(|example| example["data"].get(field).is_some()).unwrap();
            check_need(name, field, &row[2], with);
            let mut wrong = with.clone();
            wrong["data"][field] = json!({});
            let wrong = wrong.to_string();
            assert!(command::parse(&wrong, &Limits::default()).is_err(), "{name}: {field} of a wrong type");
        }
    }
}

fn check_need(name: &str, field: &str, need: &str, example: &Value) {
    let mut without = example.clone();
    without["data"].as_object_mut().unwrap().remove(field);
    let text = without.to_string();
    let outcome = command::parse(&text, &Limits::default());
    match need {
        "required" => assert_eq!(outcome.unwrap_err().field.as_deref(), Some(field), "{name}"),
        "optional" => assert!(outcome.is_ok(), "{name}: {field} is not optional"),
        other => panic!("{name}: {field} is {other:?}"),
    }
}

#[test]
fn the_greeting_shows_the_default_limits() {
    let greeting = blocks("json").into_iter().map(|block| block.text).find(|text| text.contains("\"hello\"")).unwrap();
    assert_eq!(parsed(&greeting)["data"]["limits"], serde_json::to_value(Limits::default()).unwrap());
}
