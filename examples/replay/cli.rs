//! The command line of the example.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::engine::trace::{Place, Trace};
use crate::engine::{self, Outcome};

const HELP: &str = "\
Replays decisions recorded from Linux kernels through a director and compares them.

Usage: replay [--strict] FILE...

  FILE      traces, one JSON object a line (see tests/data/traces/README.md)
  --strict  a scheduler that this build does not know is an error
  --help    this text

Prints one line a trace: kernel, generation, scheduler, decisions, mismatches.
Exits 0 if all agree, 1 on a mismatch or a malformed line, 2 on bad usage or an unreadable file.
";

/// All decisions agree.
pub(crate) const AGREED: u8 = 0;
/// Some differ, or some of the input cannot be read.
pub(crate) const DIFFERS: u8 = 1;
/// Nothing could be compared.
pub(crate) const USAGE: u8 = 2;

struct Options {
    strict: bool,
    files: Vec<PathBuf>,
}

#[derive(Default)]
struct Totals {
    traces: usize,
    decisions: usize,
    mismatches: usize,
    unsupported: usize,
    malformed: usize,
}

/// Runs the command; returns its exit status.
pub(crate) fn run(
    args: impl IntoIterator<Item = OsString, IntoIter: 'static>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let options = match options(lexopt::Parser::from_args(args)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            out.write_all(HELP.as_bytes())?;
            return Ok(AGREED);
        }
        Err(error) => {
            writeln!(err, "replay: {error}; try --help")?;
            return Ok(USAGE);
        }
    };
    let mut totals = Totals::default();
    for file in &options.files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                writeln!(err, "replay: {}: {error}", file.display())?;
                return Ok(USAGE);
            }
        };
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            totals.line(file, line_number, line, out, err)?;
        }
    }
    totals.print(out)?;
    if totals.traces == 0 {
        writeln!(err, "replay: no traces in the files given")?;
    }
    let differs = totals.mismatches > 0
        || totals.malformed > 0
        || totals.traces == 0
        || options.strict && totals.unsupported > 0;
    Ok(if differs { DIFFERS } else { AGREED })
}

fn options(mut parser: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let (mut strict, mut files) = (false, Vec::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Long("strict") => strict = true,
            Long("help") | Short('h') => return Ok(None),
            Value(file) => files.push(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    if files.is_empty() {
        return Err("no FILE given".into());
    }
    Ok(Some(Options { strict, files }))
}

impl Totals {
    fn line(
        &mut self,
        file: &Path,
        line: usize,
        text: &str,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        self.traces += 1;
        let file = file.display().to_string();
        let read = Trace::read(Place { file, line }, text);
        let (trace, outcome) = match read.and_then(|trace| Ok((engine::replay(&trace)?, trace))) {
            Ok((outcome, trace)) => (trace, outcome),
            Err(malformed) => {
                self.malformed += 1;
                return writeln!(err, "{malformed}");
            }
        };
        let Trace { kernel, generation, scheduler, .. } = &trace;
        write!(out, "kernel {kernel:<9} generation {generation:?}  {scheduler:<5} ")?;
        match outcome {
            Outcome::Unsupported(name) => {
                self.unsupported += 1;
                writeln!(out, "unsupported: this build has no `{name}`")
            }
            Outcome::Replayed(report) => {
                self.decisions += report.decisions;
                self.mismatches += report.mismatches;
                writeln!(
                    out,
                    "{:>5} decisions {:>3} lists of counts {:>5} mismatches",
                    report.decisions, report.counts, report.mismatches
                )?;
                for mismatch in &report.first {
                    writeln!(err, "{mismatch}")?;
                }
                Ok(())
            }
        }
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Totals { traces, decisions, mismatches, unsupported, malformed } = self;
        writeln!(
            out,
            "total: {traces} traces, {decisions} decisions, {mismatches} mismatches, \
             {unsupported} unsupported, {malformed} malformed"
        )
    }
}
