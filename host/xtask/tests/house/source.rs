//! What a Rust file imports and names, for [`graph`](crate::graph).
//!
//! It knows attributes, `mod`, `use` and paths, and nothing else of the language. Its one rule:
//! what is there for tests alone is left out.

use std::collections::BTreeMap;

use crate::{
    conditions::may_hold,
    tokens::{Kind, Token, tokens},
};

/// What one module says: a file, or a `mod name { .. }` in it.
#[derive(Debug, Default)]
pub struct Scope {
    /// Names that `use` brings in, one for each leaf of its tree.
    pub uses: Vec<Use>,
    /// Paths of two or more names that stand anywhere else.
    pub paths: Vec<Path>,
    /// Every name outside `use`, with which line it stands first in.
    pub names: BTreeMap<String, usize>,
    /// Modules with a file of their own.
    pub declared: Vec<String>,
    /// Modules that stand within the file.
    pub inner: Vec<(String, Scope)>,
    /// Macros that are defined here; one that is exported has its name at the crate's root.
    pub macros: Vec<String>,
    /// The lines in which the word `unsafe` stands.
    pub unsafe_lines: Vec<usize>,
}

/// A path, from its first name on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub line: usize,
    pub names: Vec<String>,
}

/// A leaf of a `use` tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub path: Path,
    /// The name that it has here; `*` for all names of the path.
    pub name: String,
    /// It is there for others, too: `pub use`, `pub(crate) use`.
    pub is_public: bool,
}

/// Reads a file.
pub fn read(text: &str) -> Scope {
    let tokens = tokens(text);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
    };
    let mut scope = Scope::default();
    reader.scope(&mut scope);
    scope
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Reader<'_> {
    fn kind(&self, ahead: usize) -> Option<&Kind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn is_mark(&self, ahead: usize, mark: char) -> bool {
        self.kind(ahead) == Some(&Kind::Mark(mark))
    }

    fn name(&self, ahead: usize) -> Option<&str> {
        match self.kind(ahead) {
            Some(Kind::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Reads what one module says, up to its closing brace.
    fn scope(&mut self, scope: &mut Scope) {
        let (mut depth, mut is_public) = (0, false);
        while self.at < self.tokens.len() {
            let was_public = std::mem::take(&mut is_public);
            if self.is_mark(0, '#') && (self.is_mark(1, '[') || self.is_mark(2, '[')) {
                self.attribute();
                is_public = was_public;
            } else if self.is_mark(0, '{') {
                depth += 1;
                self.at += 1;
            } else if self.is_mark(0, '}') {
                if depth == 0 {
                    return;
                }
                depth -= 1;
                self.at += 1;
            } else if self.name(0) == Some("pub") {
                is_public = true;
                self.at += 1;
                if self.is_mark(0, '(') {
                    self.skip_group();
                }
            } else if self.name(0) == Some("use") {
                self.at += 1;
                self.tree(&mut Vec::new(), was_public, scope);
            } else if self.name(0) == Some("mod") && self.is_mark(2, ';') {
                scope.declared.extend(self.name(1).map(str::to_owned));
                self.at += 3;
            } else if self.name(0) == Some("mod") && self.is_mark(2, '{') {
                let name = self.name(1).unwrap_or_default().to_owned();
                self.at += 3;
                let mut inner = Scope::default();
                self.scope(&mut inner);
                self.at += 1;
                scope.inner.push((name, inner));
            } else if self.name(0) == Some("macro_rules") && self.is_mark(1, '!') {
                scope.macros.extend(self.name(2).map(str::to_owned));
                self.at += 3;
            } else if self.name(0).is_some() {
                self.path(scope);
            } else {
                self.at += 1;
            }
        }
    }

    /// Reads a name, or a path of several.
    fn path(&mut self, scope: &mut Scope) {
        let line = self.line();
        let mut names = Vec::new();
        while let Some(name) = self.name(0) {
            names.push(name.to_owned());
            self.at += 1;
            if self.kind(0) != Some(&Kind::Separator) || self.name(1).is_none() {
                break;
            }
            self.at += 1;
        }
        if names[0] == "unsafe" {
            scope.unsafe_lines.push(line);
        }
        scope.names.entry(names[0].clone()).or_insert(line);
        if names.len() > 1 {
            scope.paths.push(Path { line, names });
        }
    }

    /// Reads a `use` tree below `prefix`.
    fn tree(&mut self, prefix: &mut Vec<String>, is_public: bool, scope: &mut Scope) {
        let (depth, line) = (prefix.len(), self.line());
        while self.at < self.tokens.len() {
            if self.is_mark(0, '{') {
                self.at += 1;
                while self.at < self.tokens.len() && !self.is_mark(0, '}') {
                    self.tree(prefix, is_public, scope);
                    self.at += usize::from(self.is_mark(0, ','));
                }
                self.at += 1;
                break;
            }
            let name = match self.kind(0) {
                Some(Kind::Name(name)) => name.clone(),
                Some(Kind::Mark('*')) => "*".to_owned(),
                Some(Kind::Separator) => {
                    self.at += 1;
                    continue;
                }
                _ => break,
            };
            self.at += 1;
            if self.kind(0) == Some(&Kind::Separator) {
                prefix.push(name);
                continue;
            }
            let mut names = prefix.clone();
            // `a::{self}` is `a`.
            if name != "*" && (name != "self" || names.is_empty()) {
                names.push(name.clone());
            }
            let mut here = if name == "*" {
                name
            } else {
                names[names.len() - 1].clone()
            };
            if self.name(0) == Some("as") {
                here = self.name(1).unwrap_or("_").to_owned();
                self.at += 2;
            }
            let path = Path { line, names };
            scope.uses.push(Use {
                path,
                name: here,
                is_public,
            });
            break;
        }
        prefix.truncate(depth);
        if depth == 0 && self.is_mark(0, ';') {
            self.at += 1;
        }
    }

    /// Reads an attribute, and with it what it leaves out.
    fn attribute(&mut self) {
        let is_inner = self.is_mark(1, '!');
        self.at += if is_inner { 2 } else { 1 };
        let start = self.at + 1;
        self.skip_group();
        let content = &self.tokens[start..self.at.max(start + 1) - 1];
        let is_left_out = matches!(
            content.first().map(|token| &token.kind),
            Some(Kind::Name(name)) if name == "cfg"
        ) && !may_hold(&content[1..]);
        if is_left_out {
            match is_inner {
                true => self.at = self.tokens.len(),
                false => self.skip_item(),
            }
        }
    }

    /// Skips a group in brackets of any kind, which begins here.
    fn skip_group(&mut self) {
        let mut depth = 0;
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']' | '}') => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips what stands behind an attribute: an item, a statement, a field, an arm.
    fn skip_item(&mut self) {
        while self.is_mark(0, '#') {
            self.at += 1;
            self.skip_group();
        }
        while matches!(
            self.name(0),
            Some("pub" | "async" | "unsafe" | "extern" | "default")
        ) {
            self.at += 1;
            if self.is_mark(0, '(') {
                self.skip_group();
            }
        }
        let word = self.name(0).unwrap_or_default().to_owned();
        let ends_in_block = [
            "fn",
            "mod",
            "impl",
            "struct",
            "enum",
            "union",
            "trait",
            "macro_rules",
        ];
        let ends_in_mark = ["use", "const", "static", "type", "let", "crate"];
        // `const fn`
        let is_block = ends_in_block.contains(&word.as_str())
            || word == "const" && matches!(self.name(1), Some("fn" | "unsafe"));
        let is_marked = !is_block && ends_in_mark.contains(&word.as_str());
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Mark('{') => {
                    self.skip_group();
                    if !is_marked {
                        self.at += usize::from(self.is_mark(0, ','));
                        return;
                    }
                }
                Kind::Mark('(' | '[') => self.skip_group(),
                Kind::Mark(';') => {
                    self.at += 1;
                    return;
                }
                Kind::Mark(',') if !is_block && !is_marked => {
                    self.at += 1;
                    return;
                }
                Kind::Mark('}') => return,
                _ => self.at += 1,
            }
        }
    }
}
