//! Makes the text of `include/flashstrike_wal.h`. cbindgen reads the Rust code and gives the
//! declarations; the template `include/flashstrike_wal.h.in` gives their order and the text
//! between them. A part of `tests/published/header.rs`, which checks the committed header, and
//! writes it when asked to (`make header`).
//!
//! In the template, a line `@NAME` stands for the declaration of that name and a line `@PREFIX*`
//! for all that begin so and have no line of their own, in the order of the Rust code. Every other
//! line goes into the header as it is.

use std::collections::BTreeSet;
use std::path::Path;

const TEMPLATE: &str = "include/flashstrike_wal.h.in";

/// A constant, type or function, with its comment.
#[derive(Debug)]
pub struct Declaration {
    pub name: String,
    pub text: String,
}

/// The header of the crate in `root`.
pub fn generate(root: &Path) -> Result<String, String> {
    let template = std::fs::read_to_string(root.join(TEMPLATE));
    let template = template.map_err(|error| format!("{TEMPLATE}: {error}"))?;
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    let bindings = cbindgen::generate_with_config(root, config).map_err(|e| e.to_string())?;
    let mut made = Vec::new();
    bindings.write(&mut made);
    arrange(&template, &split(&String::from_utf8_lossy(&made))?)
}

/// The template with the declarations in their places. Each must have exactly one, and each line
/// of the template at least one declaration.
pub fn arrange(template: &str, declarations: &[Declaration]) -> Result<String, String> {
    let slots: Vec<&str> = template.lines().filter_map(|line| line.strip_prefix('@')).collect();
    let named: BTreeSet<&str> = slots.iter().copied().collect();
    if named.len() < slots.len() {
        return Err(format!("{TEMPLATE} gives a place twice: {slots:?}"));
    }
    let (mut header, mut placed) = (String::new(), BTreeSet::new());
    for line in template.lines() {
        let Some(slot) = line.strip_prefix('@') else {
            header += line;
            header.push('\n');
            continue;
        };
        let belongs = |name: &str| match slot.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix) && !named.contains(name),
            None => name == slot,
        };
        let found: Vec<_> = declarations.iter().filter(|item| belongs(&item.name)).collect();
        if found.is_empty() {
            return Err(format!("{TEMPLATE} has a place for {slot}, which does not exist"));
        }
        if let Some(item) = found.iter().find(|item| !placed.insert(item.name.as_str())) {
            return Err(format!("{TEMPLATE} gives {} two places", item.name));
        }
        let texts: Vec<_> = found.iter().map(|item| item.text.as_str()).collect();
        header += &texts.join("\n");
    }
    match declarations.iter().find(|item| !placed.contains(item.name.as_str())) {
        Some(item) => Err(format!("{TEMPLATE} has no place for {}", item.name)),
        None => Ok(header),
    }
}

/// The declarations in C code as cbindgen writes it.
pub fn split(code: &str) -> Result<Vec<Declaration>, String> {
    let (mut declarations, mut text, mut statement) = (Vec::new(), String::new(), String::new());
    for line in code.lines().filter(|line| !line.trim().is_empty()) {
        text += line;
        text.push('\n');
        if line.trim_start().starts_with("//") {
            continue;
        }
        statement += line;
        let open = statement.matches('{').count() > statement.matches('}').count();
        if !open && (line.starts_with("#define ") || line.ends_with(';')) {
            let name = name(&statement).ok_or_else(|| format!("no name in: {statement}"))?;
            declarations.push(Declaration { name, text: std::mem::take(&mut text) });
            statement.clear();
        }
    }
    match text.is_empty() {
        true => Ok(declarations),
        false => Err(format!("this is no declaration: {text}")),
    }
}

/// The name that a statement declares: of a constant, the first word after `#define`; of a type,
/// the last word; of a function, the word before the parenthesis.
fn name(statement: &str) -> Option<String> {
    let before = match statement.strip_prefix("#define ") {
        Some(rest) => rest.split(' ').next()?,
        None if statement.starts_with("typedef ") => statement.strip_suffix(';')?,
        None => statement.split_once('(')?.0,
    };
    let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!word.is_empty()).then(|| word.to_owned())
}
