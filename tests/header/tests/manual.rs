//! The header is a complete manual: functions stand in groups; each group says which pointers may
//! be NULL, and each function documents its parameters, statuses and thread class.

use std::collections::BTreeSet;

/// A comment and the declaration below it.
struct Item {
    comment: String,
    declaration: String,
}

fn manual() -> String {
    let [manual, _] = vsched_header::generate();
    manual.text
}

/// The parts of a text between blank lines.
fn items(text: &str) -> Vec<Item> {
    let items = text.split("\n\n").map(|part| {
        let (comment, declaration) = part.rsplit_once("*/").unwrap_or(("", part));
        let lines = comment.lines().map(|line| line.trim_start_matches(['/', '*', ' ']));
        let declaration = declaration.replace("VSCHED_MUST_USE", "");
        let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
        Item { comment: lines.collect::<Vec<_>>().join("\n"), declaration }
    });
    items.collect()
}

fn functions(text: &str) -> Vec<Item> {
    let is_function = |item: &Item| {
        item.declaration.contains(" vsched_") || item.declaration.contains("*vsched_")
    };
    let is_function = |item: &Item| is_function(item) && item.declaration.ends_with(");");
    items(text).into_iter().filter(is_function).collect()
}

/// The names of a declaration's parameters.
fn parameters(declaration: &str) -> Vec<&str> {
    let (_, parameters) = declaration.split_once('(').expect("a function");
    let parameters = parameters.trim_end_matches(");").split(", ").filter(|it| *it != "void");
    parameters.map(|it| it.rsplit([' ', '*']).next().expect("a name")).collect()
}

#[test]
fn every_function_says_its_parameters_statuses_and_threads() {
    let manual = manual();
    let functions = functions(&manual);
    assert!(functions.len() > 55, "only {} found", functions.len());
    for Item { comment, declaration } in &functions {
        let said = comment.lines().filter_map(|line| line.strip_prefix("@param"));
        let said: Vec<&str> = said
            .filter_map(|line| line.split_whitespace().find(|word| !word.starts_with('[')))
            .collect();
        assert_eq!(said, parameters(declaration), "{declaration}");
        let returned = comment.split_once("@return").map(|(_, returned)| returned);
        assert_eq!(returned.is_none(), declaration.starts_with("void "), "{declaration}");
        if declaration.starts_with("vsched_status ") {
            assert!(
                returned.is_some_and(|it| it.trim_start().starts_with("VSCHED_OK")),
                "{declaration}"
            );
        }
        let (_, class) = comment.split_once("\nThreads: ").expect(declaration);
        let class = class.split(|c: char| !c.is_ascii_lowercase()).next();
        let classes = ["any", "shared", "exclusive", "control", "worker"];
        assert!(class.is_some_and(|class| classes.contains(&class)), "{declaration}: {class:?}");
    }
}

/// Parameters that imply a status of the library.
const IMPLIED: &[(&str, &str)] = &[
    ("size_t capacity", "VSCHED_E_BUFFER"),
    ("const char *", "VSCHED_E_UTF8"),
    ("const char *", "VSCHED_E_LENGTH"),
    ("vsched_service *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_server *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_settings *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_limits *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_applied *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_apply_policy *", "VSCHED_E_STRUCT_SIZE"),
    ("vsched_health *", "VSCHED_E_STRUCT_SIZE"),
    ("size_t element_size", "VSCHED_E_STRUCT_SIZE"),
    ("struct vsched_service_id service,", "VSCHED_NO_SERVICE"),
    ("struct vsched_server_id server,", "VSCHED_STALE"),
    ("uint32_t activity", "VSCHED_E_ARGUMENT"),
    ("uint32_t outcome", "VSCHED_E_ARGUMENT"),
];

#[test]
fn every_function_lists_the_statuses_that_its_parameters_imply() {
    let functions = functions(&manual());
    let mut met = BTreeSet::new();
    for Item { comment, declaration } in &functions {
        let (_, parameters) = declaration.split_once('(').expect("a function");
        let returned = comment.split_once("@return").map_or("", |(_, returned)| returned);
        for (parameter, status) in IMPLIED.iter().filter(|(it, _)| parameters.contains(it)) {
            met.insert((parameter, status));
            let words: Vec<&str> = returned.split([' ', ';', ':', '.', '\n']).collect();
            assert!(words.contains(status), "{declaration}: {status} by `{parameter}`");
        }
    }
    assert_eq!(met.len(), IMPLIED.len(), "only {met:?}");
}

#[test]
fn every_group_says_once_which_pointers_may_be_null() {
    let manual = manual();
    let groups: Vec<&str> = manual.split("@defgroup ").skip(1).collect();
    assert!(groups.len() > 15, "only {} found", groups.len());
    for group in groups {
        let title = group.lines().next().unwrap_or_default();
        let (introduction, rest) = group.split_once("@{").expect("its beginning");
        let (body, _) = rest.split_once("@}").expect("its end");
        let takes_pointers = |item: &Item| {
            item.declaration.split_once('(').is_some_and(|(_, parameters)| parameters.contains('*'))
        };
        let rules = introduction.matches("\n * NULL: ").count();
        let wanted = usize::from(functions(body).iter().any(takes_pointers));
        assert_eq!(rules, wanted, "NULL rules of {title}");
    }
}

#[test]
fn every_handle_says_its_threads_and_how_it_ends() {
    for handle in ["vsched_config", "vsched_director", "vsched_worker"] {
        let declared = format!("typedef struct {handle} {handle};");
        let items = items(&manual());
        let item = items.iter().find(|item| item.declaration == declared).expect("the handle");
        let free = format!("{handle}_free");
        assert!(item.comment.contains("thread") || item.comment.contains("Thread"), "{handle}");
        assert!(item.comment.contains(&free), "{handle}");
    }
}

#[test]
fn comments_name_what_exists() {
    let manual = manual();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c| !is_word(c)).map(str::to_owned);
        words.filter(|word| word.to_ascii_lowercase().starts_with("vsched_")).collect()
    };
    let is_comment = |line: &&str| line.trim_start().starts_with(['/', '*']);
    let declared: String =
        manual.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n");
    let declared = names(&declared);
    for line in manual.lines().filter(is_comment) {
        let unknown: Vec<_> = names(line).difference(&declared).cloned().collect();
        assert!(unknown.is_empty(), "{unknown:?}: {line}");
    }
}

#[test]
fn lines_fit_a_terminal() {
    for header in vsched_header::generate() {
        for line in header.text.lines() {
            assert!(line.chars().count() <= 100 && line.is_ascii(), "{}: {line}", header.name);
        }
    }
}
