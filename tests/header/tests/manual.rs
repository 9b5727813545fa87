//! The header is the manual: every function says what it takes and from where it may be called.

/// Comment and declaration of every function.
fn functions() -> Vec<(String, String)> {
    let header = vsched_header::generate();
    let mut found = Vec::new();
    for part in header.split("\n\n") {
        let lines: Vec<&str> = part.lines().collect();
        let comment = |line: &&&str| line.starts_with("//");
        let said: Vec<&str> = lines.iter().filter(comment).map(|line| &line[2..]).collect();
        let declared: Vec<&str> = lines.iter().filter(|line| !comment(line)).copied().collect();
        let declared = declared.join(" ").replace("VSCHED_MUST_USE ", "");
        let named = declared.contains(" vsched_") || declared.contains(" *vsched_");
        if declared.ends_with(");") && named {
            found.push((said.join(""), declared));
        }
    }
    found
}

#[test]
fn every_function_says_its_rules() {
    let functions = functions();
    assert!(functions.len() > 50, "only {} found", functions.len());
    for (said, declared) in &functions {
        let defers = said.contains("As vsched_");
        let takes_pointers = declared.split_once('(').is_some_and(|(_, args)| args.contains('*'));
        let says_null = said.contains("NULL");
        assert!(says_null || defers || !takes_pointers, "NULL rule: {declared}");
        let says_where = said.contains("thread") || said.contains("Not while");
        assert!(says_where || defers, "threads: {declared}");
    }
}

#[test]
fn every_handle_says_who_may_use_it_and_how_it_ends() {
    let header = vsched_header::generate();
    for handle in ["vsched_config", "vsched_director", "vsched_worker"] {
        let declared = format!("typedef struct {handle} {handle};");
        let (before, _) = header.split_once(&declared).expect("the handle");
        let said = before.rsplit("\n\n").next().expect("its comment");
        for word in ["thread", "free"] {
            assert!(said.contains(word), "{handle} does not say `{word}`: {said}");
        }
    }
}
