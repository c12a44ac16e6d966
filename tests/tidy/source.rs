//! Reads the Rust files of the repository: code without comments and literals, and the paths it names.

use std::fs;
use std::path::PathBuf;

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; same lines and columns.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank_literals(text),
        }
    }

    /// Module path within the crate: `src/flavor/onnx/mod.rs` is `flavor`, `onnx`.
    pub(crate) fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| *part != "mod").collect()
    }

    /// The code without what only tests compile; nothing for a file of tests.
    pub(crate) fn shipped_code(&self) -> String {
        let test_file = self.module().contains(&"tests");
        if test_file {
            String::new()
        } else {
            blank_tests(&self.code)
        }
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."))
}

/// Every Rust file under the folders, sorted; a missing folder holds none.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root()).unwrap_or(&path);
                let text = fs::read_to_string(&path).unwrap_or_default();
                found.push(Source::new(&relative.to_string_lossy().replace('\\', "/"), &text));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Blanks comments and the insides of string and character literals.
fn blank_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let find = |from: usize, stop: &dyn Fn(usize) -> bool| {
        (from..chars.len()).find(|i| stop(*i)).unwrap_or(chars.len())
    };
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next == '/' => find(at, &|i| chars[i] == '\n'),
        '/' if next == '*' => {
            let mut depth = 0;
            let mut i = at;
            while i + 1 < chars.len() {
                match (chars[i], chars[i + 1]) {
                    ('/', '*') => depth += 1,
                    ('*', '/') => depth -= 1,
                    _ => {
                        i += 1;
                        continue;
                    }
                }
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            chars.len()
        }
        'r' if !after_word || chars[at - 1] == 'b' => {
            let quote = find(at + 1, &|i| chars[i] != '#');
            let hashes = quote - at - 1;
            if chars.get(quote) != Some(&'"') {
                return at;
            }
            let closes = |i: usize| {
                chars[i] == '"'
                    && chars.len() > i + hashes
                    && chars[i + 1..=i + hashes].iter().all(|c| *c == '#')
            };
            (find(quote + 1, &closes) + 1 + hashes).min(chars.len())
        }
        '"' => {
            let mut i = at + 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            (i + 1).min(chars.len())
        }
        // A character, not a lifetime: '\...' or 'x'.
        '\'' if next == '\\' => (find(at + 3, &|i| chars[i] == '\'') + 1).min(chars.len()),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// Blanks every item under `#[cfg(test)]`.
fn blank_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let mut depth = 0usize;
        let mut end = out.len();
        for (offset, c) in out[start..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (c == '}' || c == ';') {
                end = start + offset + 1;
                break;
            }
        }
        let blank: String = out[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// Every path of the code that begins with `crate`, `super`, `modelsd` or `std`, groups expanded, made absolute: paths
/// of ours begin with the top-level module, others with `std`.
pub(crate) fn absolute_paths(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = matches!(tokens[at].as_str(), "crate" | "super" | "modelsd" | "std")
            && tokens.get(at + 1).is_some_and(|token| token == "::")
            && (at == 0 || tokens[at - 1] != "::");
        at = if starts {
            walk_path(&tokens, at, &[], &mut found)
        } else {
            at + 1
        };
    }
    for path in &mut found {
        let ups = path.iter().take_while(|part| *part == "super").count();
        if ups > 0 {
            let base = module
                .iter()
                .take(module.len().saturating_sub(ups))
                .map(|part| (*part).to_owned());
            *path = base.chain(path.iter().skip(ups).cloned()).collect();
        } else if path.first().is_some_and(|part| part != "std") {
            path.remove(0);
        }
    }
    found.retain(|path| !path.is_empty());
    found
}

fn tokens(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in code.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        match c {
            ':' if found.last().is_some_and(|last| last == ":") => {
                found.pop();
                found.push("::".to_owned());
            }
            c if c.is_whitespace() => {}
            c => found.push(c.to_string()),
        }
    }
    found
}

/// Follows one path or group from `at`; returns where the next token is.
fn walk_path(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let is = |at: usize, wanted: &str| tokens.get(at).is_some_and(|token| token == wanted);
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while at < tokens.len() && !is(at, "}") {
                at = walk_path(tokens, at, &path, found);
                while at < tokens.len() && !is(at, ",") && !is(at, "}") {
                    at += 1;
                }
                at += usize::from(is(at, ","));
            }
            return at + 1;
        }
        path.push(token.clone());
        at += 1;
        if !is(at, "::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}
