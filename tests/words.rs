//! Sources and documents use the field's words: words that misled readers, or sent them to a
//! dictionary, are banned. `docs/glossary.md` explains the words that are this project's own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a word must not stand.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// In code, comments and documents. A lower-case word is also found at the start of a sentence.
    Anywhere,
    /// In Rust code only: in prose it has its ordinary meaning.
    Code,
    /// In Rust code below this path.
    CodeOf(&'static str),
}

use Where::{Anywhere, Code, CodeOf};

/// A word or phrase, where it is banned, and what to say instead.
type Rule = (&'static str, Where, &'static str);

const RULES: &[Rule] = &[
    // False friends: a reader believes something wrong.
    ("Epoch", Anywhere, "PoolVersion (an epoch belongs to epoch-based reclamation)"),
    ("epoch", Anywhere, "pool version"),
    ("epochs", Anywhere, "pool versions"),
    ("retire", Code, "reclaim, if it frees"),
    ("glance", Anywhere, "counts_relaxed, a relaxed load"),
    ("look_again", Anywhere, "counts_seqcst"),
    ("unbound", Code, "general, if it is not about a bound scheduler"),
    ("drawn", Code, "ticket"),
    ("draw", Code, "take_ticket, or random"),
    ("alone", Code, "worker, general or single, whichever it is"),
    ("Alone", Code, "WorkerRotation"),
    // Identifiers that a newcomer had to look up.
    ("Publication", Code, "Snapshot"),
    ("Held", Code, "Guard"),
    ("hold_latest", Anywhere, "load_latest"),
    ("peek", CodeOf("src/concurrent"), "load_unguarded"),
    ("renew", CodeOf("src/concurrent"), "protect"),
    ("Round", Code, "TicketCounter"),
    ("Rounds", Anywhere, "SharedRotation"),
    ("Drawn", Code, "TicketRange"),
    ("begin_anew", Anywhere, "wrap"),
    ("APART", Anywhere, "OFF_SCHEDULE"),
    ("FRESH", Anywhere, "UNINITIALIZED"),
    ("CLOSED", CodeOf("src/rotation"), "SUPERSEDED"),
    ("noted", CodeOf("src/rotation"), "normalize"),
    ("mine", CodeOf("src/rotation"), "local"),
    ("moved", CodeOf("src/rotation"), "migrated"),
    ("note", CodeOf("src/rotation"), "migrate"),
    ("former", CodeOf("src/rotation"), "previous"),
    ("turn", CodeOf("src/rotation"), "advance"),
    ("begin", CodeOf("src/rotation"), "adopt"),
    ("Cursor", Code, "a rotation"),
    ("Outdated", Anywhere, "Superseded"),
    ("outdated", Anywhere, "superseded"),
    ("Opener", Anywhere, "WorkerTag"),
    ("opener", Code, "worker_tag"),
    ("tenancy", Anywhere, "incarnation"),
    ("move_in", Anywhere, "assign"),
    ("tenants", Anywhere, "registered workers, or WorkerRegistry"),
    ("Tenants", Anywhere, "WorkerRegistry"),
    ("move_on", Anywhere, "after_publish"),
    ("depart", Code, "unregister"),
    ("join", CodeOf("src/director/registry.rs"), "register"),
    ("Owners", Code, "SlotAllocator"),
    ("Owner", Code, "SlotClaim"),
    ("is_housed", Anywhere, "has_slot"),
    ("come_home", Anywhere, "readopt"),
    ("orphan", Code, "detach"),
    ("house", Code, "allocate"),
    ("settle", CodeOf("src/director"), "assign_slots"),
    ("reach", CodeOf("src/director/allocator.rs"), "high_water"),
    ("Draft", Code, "ServiceEdit"),
    ("draft", Code, "edit"),
    ("bury", Anywhere, "compact"),
    ("Shown", Code, "LookupKey"),
    ("Listed", Code, "Eligibility"),
    ("Seat", Code, "SlotRef"),
    ("Seats", Code, "SlotRefs"),
    ("seat", Code, "slot_ref"),
    ("seats", Code, "slot_refs"),
    ("is_sure", Anywhere, "always_available"),
    ("sure", CodeOf("src/service"), "unconditional"),
    ("is_behind", Code, "past_end"),
    ("Restless", Anywhere, "Contended"),
    ("mend", Code, "repair"),
    ("tell", CodeOf("src/concurrent"), "propagate"),
    ("look", CodeOf("src/concurrent/min_tree.rs"), "recompute"),
    ("NEVER", Anywhere, "UNAVAILABLE"),
    ("Lanes", Anywhere, "Simd"),
    ("rehome", Anywhere, "set_service"),
    ("let_go", Anywhere, "release"),
    ("Turns", Code, "Schedule"),
    ("turns", Code, "schedule"),
    ("choose_elaborately", Anywhere, "pick_general"),
    ("pick_elaborately", Anywhere, "pick_slow"),
    ("is_said", Anywhere, "scheduler_decides"),
    ("Asked", Code, "PickVisitor"),
    ("Follows", Code, "LoadUpdates"),
    ("draws_for", Anywhere, "ticket_service"),
    ("Way", Code, "PickFn, or Strategy"),
    ("Ways", Anywhere, "PickFn"),
    ("straight", Code, "pick_scheduler"),
    ("put", CodeOf("src/worker"), "emit"),
    ("start_of", Anywhere, "worker_start"),
    ("welcome", Code, "init_worker"),
    ("is_true", Code, "is_current"),
    ("Heirs", Anywhere, "CursorRemap"),
    ("Fate", Anywhere, "CursorRemap"),
    ("Maxima", Anywhere, "MaxTree"),
    ("players", Code, "shares"),
    ("Course", Code, "StepLog"),
    ("course", Code, "step_log"),
    ("Rails", Anywhere, "Guardrails"),
    ("rails", Anywhere, "guardrails"),
    ("Broken", Code, "Violation"),
    ("openness", Anywhere, "availability"),
    ("Openness", Anywhere, "Availability"),
    ("Met", Code, "AlreadyDone"),
    // Prose.
    ("the house", Anywhere, "the architecture"),
    ("written out", Anywhere, "precomputed"),
    ("elaborately", Anywhere, "by the slow path"),
    ("elaborate", Anywhere, "slow, or general"),
    ("whoever", Anywhere, "the thread, caller or value that"),
    ("whom", Anywhere, "which"),
    ("nobody", Anywhere, "no thread, no caller, nothing"),
    ("somebody", Anywhere, "another thread, something else"),
    ("everybody", Anywhere, "every thread, all"),
    ("he", Anywhere, "it"),
    ("behind the end", Anywhere, "past the end"),
    ("dear", Anywhere, "expensive"),
    ("dearer", Anywhere, "more expensive"),
    ("anew", Anywhere, "again, from scratch"),
    ("for want of", Anywhere, "without, for lack of"),
    ("little room", Anywhere, "compactly, little memory"),
    ("one a thread", Anywhere, "one per thread"),
    ("a step a line", Anywhere, "one step per line"),
    ("call a service", Anywhere, "call per service"),
    ("dump a service", Anywhere, "dump per service"),
    ("word a service", Anywhere, "word per service"),
    // American spelling.
    ("behaviour", Anywhere, "behavior"),
    ("neighbour", Anywhere, "neighbor"),
    ("neighbours", Anywhere, "neighbors"),
    ("synchronisation", Anywhere, "synchronization"),
    ("synchronise", Anywhere, "synchronize"),
    ("optimisation", Anywhere, "optimization"),
    ("licence", Anywhere, "license"),
    ("tunnelling", Anywhere, "tunneling"),
];

/// File or folder, word, why it may stand there.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "src/lib.rs",
        "behaviour",
        "the module is named after docs/behaviour.md, which others link to",
    ),
    ("src/config/diff.rs", "unbound", "IPVS's own state: a service that no scheduler is bound to"),
    ("src/netlink/plan/", "unbound", "IPVS's own state: a service that no scheduler is bound to"),
    ("src/config/rules/", "Draft", "a service whose rules are still being read"),
    ("src/config/rules/", "draft", "a service whose rules are still being read"),
    ("src/netlink/apply/report.rs", "somebody", "a text that reports print"),
];

struct Finding {
    file: String,
    line: usize,
    word: &'static str,
    better: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, line, word, better } = self;
        write!(f, "{file}:{line}: `{word}`: say {better}")
    }
}

/// A word and where it stands.
struct Token<'t> {
    word: &'t str,
    line: usize,
    /// Only blanks and comment marks lie between it and the word before.
    follows: bool,
    /// It is a part of a file's name, or the label of a link to one.
    is_name: bool,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, text);
    while let Some(start) = rest.find(is_word) {
        let (gap, from) = rest.split_at(start);
        line += gap.matches('\n').count();
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        let follows = gap.chars().all(|c| c.is_whitespace() || "/!*-".contains(c));
        let is_name = gap.ends_with("][")
            || [".md", ".rs", "]:"].iter().any(|ending| after.starts_with(ending));
        tokens.push(Token { word, line, follows, is_name });
        rest = after;
    }
    tokens
}

/// The length of the comment or literal that begins here; 0 if none does.
fn not_code(rest: &str) -> usize {
    let closed = |from: usize, end: &str| {
        rest.get(from..)
            .and_then(|body| body.find(end))
            .map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return closed(2, "*/");
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let marks = raw.len() - raw.trim_start_matches('#').len();
        if raw[marks..].starts_with('"') {
            return closed(marks + 2, &format!("\"{}", "#".repeat(marks)));
        }
    }
    let quoted = |end: char| {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let found = *c == end && !escaped;
            escaped = *c == '\\' && !escaped;
            found
        });
        end.map_or(rest.len(), |(at, _)| at + 1)
    };
    let mut chars = rest.chars();
    match chars.next() {
        Some('"') => quoted('"'),
        // A lifetime has no second quote there.
        Some('\'') if chars.next() == Some('\\') || chars.next() == Some('\'') => quoted('\''),
        _ => 0,
    }
}

/// The text with blanks for comments and literals, and the same lines.
fn code(text: &str) -> String {
    let (mut code, mut at, mut in_word) = (String::new(), 0, false);
    while let Some(c) = text[at..].chars().next() {
        let length = if in_word { 0 } else { not_code(&text[at..]) };
        if length > 0 {
            let lines = text[at..at + length].matches('\n').count();
            code.push(' ');
            code.extend(std::iter::repeat_n('\n', lines));
            at += length;
        } else {
            code.push(c);
            at += c.len_utf8();
        }
        in_word = length == 0 && is_word(c);
    }
    code
}

fn is(token: &Token<'_>, wanted: &str, place: Where) -> bool {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().is_some_and(|first| first.is_ascii_lowercase())
            && token.word.chars().next() == word.chars().next().map(|c| c.to_ascii_uppercase())
            && token.word.get(1..) == word.get(1..)
    };
    token.word == wanted || place == Anywhere && capital(wanted)
}

fn check(file: &str, text: &str) -> Vec<Finding> {
    let stripped = if file.ends_with(".rs") { code(text) } else { String::new() };
    let (all, code) = (tokens(text), tokens(&stripped));
    let mut found = Vec::new();
    for &(word, place, better) in RULES {
        let tokens = match place {
            Anywhere => &all,
            Code => &code,
            CodeOf(path) if file.starts_with(path) => &code,
            CodeOf(_) => continue,
        };
        let wanted: Vec<&str> = word.split(' ').collect();
        for run in tokens.windows(wanted.len()) {
            let equal = run.iter().zip(&wanted).all(|(token, wanted)| is(token, wanted, place));
            if equal && run.iter().skip(1).all(|token| token.follows) && !run[0].is_name {
                found.push(Finding { file: file.to_owned(), line: run[0].line, word, better });
            }
        }
    }
    found.sort_by_key(|finding| finding.line);
    found
}

fn below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            below(&path, ending, found);
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
}

/// The files that the rules are for, by their paths from the root.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for (folder, ending) in [
        ("src", "rs"),
        ("adapters", "rs"),
        ("adapters", "md"),
        ("docs", "md"),
        ("hosts", "md"),
        ("hosts", "rs"),
        ("include", "h"),
        ("tests/loom/src", "rs"),
    ] {
        below(&root.join(folder), ending, &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn sources_and_documents_use_the_fields_words() {
    let files = files();
    assert!(files.len() > 200, "only {} files found", files.len());
    let findings: Vec<Finding> = files.iter().flat_map(|(name, text)| check(name, text)).collect();
    let covers = |(path, word, _): &(&str, &str, &str), finding: &Finding| {
        finding.file.starts_with(path) && finding.word == *word
    };
    let wrong =
        findings.iter().filter(|finding| !ALLOWED.iter().any(|entry| covers(entry, finding)));
    let wrong: Vec<String> = wrong.map(Finding::to_string).collect();
    assert!(wrong.is_empty(), "{} words to replace:\n{}", wrong.len(), wrong.join("\n"));
    for entry in ALLOWED {
        let used = findings.iter().any(|finding| covers(entry, finding));
        assert!(used, "{entry:?} allows what is not there any more: remove it");
    }
}

/// Every rule finds its word, planted in a text, and says where.
#[test]
fn a_planted_word_is_found() {
    for &(word, place, better) in RULES {
        let file = match place {
            CodeOf(path) => format!("{path}/planted.rs"),
            Anywhere | Code => "src/planted.rs".to_owned(),
        };
        let text = format!("//! A file.\n\nfn f() {{ let {} = 1; }}\n", word.replace(' ', "\n// "));
        let found: Vec<String> = check(&file, &text)
            .iter()
            .filter(|found| found.word == word)
            .map(Finding::to_string)
            .collect();
        assert_eq!(found, [format!("{file}:3: `{word}`: say {better}")]);
    }
}

#[test]
fn words_are_whole_and_in_their_place() {
    let found = |file: &str, text: &str| -> Vec<(usize, &str)> {
        check(file, text).iter().map(|finding| (finding.line, finding.word)).collect()
    };
    assert_eq!(found("docs/a.md", "epochal, my_epoch, epoch_of; epoch"), [(1, "epoch")]);
    assert_eq!(
        found("docs/a.md", "Nobody.\nA pick past\nthe end; behind the end"),
        [(1, "nobody"), (3, "behind the end")]
    );
    assert_eq!(found("src/a.rs", "/// Written\n/// out.\nstruct S;"), [(1, "written out")]);
    assert_eq!(found("docs/a.md", "written. Out"), []);
    // In prose, literals and documents these words mean what they mean; a quote may be a lifetime.
    let text = "// straight\n/* alone\n */ f('\"', \"straight \\\" draw\", r#\"a \" draw\"#); g::<'a>(draw)";
    assert_eq!(found("src/a.rs", text), [(3, "draw")]);
    assert_eq!(found("docs/a.md", "A straight line, alone."), []);
    assert_eq!(found("src/b.rs", "let put = sure;"), []);
    // A file keeps its name.
    assert_eq!(
        found("docs/a.md", "[Behavior][behaviour], its behaviour\n\n[behaviour]: behaviour.md"),
        [(1, "behaviour")]
    );
}
