//! Parses the declarations that cbindgen prints, each with its comment.

use std::path::PathBuf;

use crate::root;

/// The longest line of the header.
const WIDTH: usize = 100;

/// One constant, type or function.
pub(crate) struct Block {
    pub(crate) name: String,
    lines: Vec<String>,
}

/// The declarations of these files, in cbindgen's order.
pub(crate) fn of_sources(files: &[PathBuf]) -> Vec<Block> {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // The files, not the crate: what is public elsewhere is for Rust only.
    for file in files {
        builder = builder.with_src(file);
    }
    let mut output = Vec::new();
    builder.generate().expect("readable sources").write(&mut output);
    let output = String::from_utf8(output).expect("UTF-8");
    // Comments of several paragraphs have ` *` where one ends, so blank lines separate declarations.
    let parts = output.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    parts.map(Block::new).collect()
}

impl Block {
    fn new(text: &str) -> Self {
        let mut block =
            Block { name: String::new(), lines: text.lines().map(str::to_owned).collect() };
        let declaration = block.bare();
        block.name =
            name_of(&declaration).unwrap_or_else(|| panic!("no name in {text}")).to_owned();
        block
    }

    /// The declaration with its comment; comments of one line take one line.
    pub(crate) fn documented(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in &self.lines {
            lines.push(line.trim_end().to_owned());
            if let Some(short) = one_line_comment(&lines) {
                lines.truncate(lines.len() - 3);
                lines.push(short);
            }
        }
        lines.join("\n")
    }

    /// The declaration without comments, macros and attributes; a constant as a variable.
    pub(crate) fn bare(&self) -> String {
        let is_comment = |line: &str| line.starts_with("/**") || line.starts_with('*');
        let declared = self.lines.iter().filter(|line| !is_comment(line.trim_start()));
        let declared = declared.filter(|line| *line != "VSCHED_MUST_USE");
        let declared: Vec<&str> = declared.map(String::as_str).collect();
        let declared = declared.join("\n");
        match declared.strip_prefix("#define ").and_then(|define| define.split_once(' ')) {
            Some((name, value)) => {
                let value = value.replace("UINT32_MAX", &u32::MAX.to_string());
                format!("static const uint32_t {name} = {value};")
            }
            // The only constants that another declaration uses: the test of the headers compares.
            None => declared
                .replace("[VSCHED_KEY_SIZE]", "[64]")
                .replace("[VSCHED_NAME_SIZE]", "[256]")
                .replace("[VSCHED_REASON_SIZE]", "[256]"),
        }
    }
}

/// The comment that ends here, on one line if it has only one and fits.
fn one_line_comment(lines: &[String]) -> Option<String> {
    let [.., open, text, close] = lines else { return None };
    let (indent, text) = text.split_once(" * ")?;
    let line = format!("{indent}/** {text} */");
    let is_short = open.trim_start() == "/**" && close.trim_start() == "*/" && line.len() <= WIDTH;
    is_short.then_some(line)
}

/// What a declaration without comments declares.
fn name_of(declaration: &str) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let head = match declaration.strip_prefix("static const uint32_t ") {
        Some(constant) => return constant.split(' ').next(),
        None if declaration.starts_with("typedef ") => declaration.strip_suffix(';')?,
        None => declaration.split_once('(')?.0,
    };
    head.rsplit(|c| !is_word(c)).next().filter(|name| !name.is_empty())
}
