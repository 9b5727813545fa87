//! docs/config.md: one service in three texts, and a table of every field.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use vsched::Config;

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
    fs::read_to_string(path).expect("the document")
}

/// The only fenced block in this language.
fn block(language: &str) -> String {
    let (text, fence) = (document(), format!("```{language}\n"));
    let mut blocks = text.split(fence.as_str()).skip(1);
    let block = blocks.next().expect(language).split("```").next().expect("its end").to_owned();
    assert_eq!(blocks.next(), None, "{language} twice");
    block
}

pub(crate) fn json() -> Value {
    serde_json::from_str(&block("json")).expect("JSON")
}

pub(crate) fn toml() -> Value {
    toml::from_str(&block("toml")).expect("TOML")
}

#[test]
fn the_three_texts_are_one_config() {
    let json: Config = serde_json::from_value(json()).expect("a config");
    let toml: Config = toml::from_str(&block("toml")).expect("a config");
    let rules: Config = block("sh").parse().expect("rules");
    assert_eq!(toml, json);
    assert_eq!(rules, json);
    json.validate().expect("valid");
    let printed: Config = json.to_rules().complete().to_string().parse().expect("rules");
    assert_eq!(printed, json);
}

/// Names of fields in a schema, with the type they belong to.
fn fields() -> BTreeSet<(String, String)> {
    let schema: Value = serde_json::from_str(&Config::schema_text()).expect("JSON");
    let mut found = BTreeSet::new();
    let types = schema["$defs"].as_object().expect("types").iter();
    let types = types.map(|(name, schema)| (name.as_str(), schema)).chain([("Config", &schema)]);
    for (name, schema) in types {
        let variants = schema["oneOf"].as_array().into_iter().flatten().chain([schema]);
        let properties = variants.filter_map(|variant| variant["properties"].as_object());
        found.extend(properties.flatten().map(|(field, _)| (name.to_owned(), field.clone())));
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Each field that a config can have is in the table of its type, and no other.
#[test]
fn the_tables_list_every_field() {
    let mut listed = BTreeSet::new();
    for section in document().split("\n## ").skip(1) {
        let Some(name) = section.lines().next().and_then(|line| line.split('`').nth(1)) else {
            continue;
        };
        let table = section.lines().skip_while(|line| !line.starts_with("| field "));
        for row in table.skip(2).take_while(|line| line.starts_with('|')) {
            let cells = row.split('|').map(str::trim).collect::<Vec<_>>();
            assert!(cells.len() == 8, "{row}");
            let field = cells[1].trim_matches('`').to_owned();
            assert!(listed.insert((name.to_owned(), field)), "twice: {row}");
        }
    }
    assert_eq!(listed, fields());
}

/// The full example leaves no field out, apart from those of other ways to write the same.
#[test]
fn the_example_uses_every_field() {
    fn names(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.keys().cloned());
                fields.values().for_each(|value| names(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    names(&json(), &mut used);
    let all: BTreeSet<String> = fields().into_iter().map(|(_, field)| field).collect();
    let missing: Vec<_> = all.difference(&used).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The C fields that the tables name are in the header, the options in the rules.
#[test]
fn the_tables_name_what_exists() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let read = |name: &str| fs::read_to_string(format!("{root}{name}")).expect(name);
    let (header, options) = (read("include/vsched.h"), read("src/config/rules/options.rs"));
    let (mut fields, mut named) = (0, 0);
    for row in document().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        for field in cells[6].split('`').skip(1).step_by(2) {
            let ends = [" ", ";"].map(|end| format!("{field}{end}"));
            assert!(ends.iter().any(|field| header.contains(field)), "{field}: {row}");
            fields += 1;
        }
        for option in cells[5].split('`').skip(1).step_by(2) {
            if let Some(long) = option.strip_prefix("--") {
                assert!(options.contains(&format!("\"{long}\"")), "{option}: {row}");
                named += 1;
            }
        }
    }
    assert!(fields > 40 && named > 20, "{fields} {named}");
}
