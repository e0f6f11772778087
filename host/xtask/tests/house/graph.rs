//! Which file needs which other one.
//!
//! A name is followed through the faces of folders: what `wire` re-exports of `wire/config.rs` is
//! of that file, whoever imports it. A re-export itself needs nothing, unless its own file uses the
//! name, too.

use std::collections::BTreeMap;

use crate::{
    rooms::{House, is_within, room_path},
    source::{Path, Scope, Use, read},
};

/// The text of each file, by its path within `src`.
pub type Files = BTreeMap<String, String>;

/// A module: a file, or a part of one.
#[derive(Debug)]
pub struct Module {
    pub file: String,
    pub scope: Scope,
}

/// Which crate, by its root's place in the list, and the names from there on.
pub type Place = (usize, Vec<String>);
pub type Modules = BTreeMap<Place, Module>;

/// One file needs another one.
#[derive(Clone, Debug)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub path: Path,
}

/// Follows the `mod` declarations from each root on.
pub fn modules(house: &House, files: &Files) -> Modules {
    let mut modules = Modules::new();
    for (root, file) in house.roots.iter().enumerate() {
        let Some(text) = files.get(*file) else {
            continue;
        };
        // `main.rs` and `lib.rs` have their modules beside them.
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        add(
            (root, Vec::new()),
            file,
            folder,
            read(text),
            files,
            &mut modules,
        );
    }
    modules
}

/// Adds a module and all below it; `folder` is where the files of its modules are.
fn add(
    place: Place,
    file: &str,
    folder: &str,
    mut scope: Scope,
    files: &Files,
    modules: &mut Modules,
) {
    let below = |name: &String| {
        let mut names = place.1.clone();
        names.push(name.clone());
        let folder = format!("{folder}/{name}");
        ((place.0, names), folder.trim_start_matches('/').to_owned())
    };
    for name in &scope.declared {
        let (place, folder) = below(name);
        for file in [format!("{folder}.rs"), format!("{folder}/mod.rs")] {
            if let Some(text) = files.get(&file) {
                add(place.clone(), &file, &folder, read(text), files, modules);
            }
        }
    }
    for (name, inner) in std::mem::take(&mut scope.inner) {
        let (place, folder) = below(&name);
        add(place, file, &folder, inner, files, modules);
    }
    let file = file.to_owned();
    modules.insert(place, Module { file, scope });
}

pub fn root_place(house: &House, names: &[String], place: &Place) -> Option<Place> {
    let first = names.first()?;
    match first.as_str() {
        "crate" => Some((place.0, Vec::new())),
        name if name == house.library => Some((0, Vec::new())),
        _ => None,
    }
}

/// Finds the file that a path leads to; `None` for another crate's.
fn find(
    house: &House,
    modules: &Modules,
    place: &Place,
    names: &[String],
    depth: usize,
) -> Option<String> {
    let (mut here, mut names) = match root_place(house, names, place) {
        Some(root) => (root, &names[1..]),
        None => (place.clone(), names),
    };
    if here.1.is_empty()
        && let Some(file) = macro_file(modules, here.0, names)
    {
        return Some(file);
    }
    while let [first, rest @ ..] = names {
        match first.as_str() {
            "self" => {}
            "super" => drop(here.1.pop()),
            name => {
                let mut below = here.clone();
                below.1.push(name.to_owned());
                if !modules.contains_key(&below) {
                    let module = modules.get(&here)?;
                    // A module whose file is not of this house, by `#[path]`.
                    if module
                        .scope
                        .declared
                        .iter()
                        .any(|declared| declared == name)
                    {
                        return None;
                    }
                    break;
                }
                here = below;
            }
        }
        names = rest;
    }
    let module = modules.get(&here)?;
    let is_start = here == *place && names.len() > 1;
    let Some(name) = names.first() else {
        return Some(module.file.clone());
    };
    let brought = module
        .scope
        .uses
        .iter()
        .find(|brought| brought.name == *name);
    match brought {
        Some(brought) if depth > 0 => {
            let names: Vec<_> = brought
                .path
                .names
                .iter()
                .chain(&names[1..])
                .cloned()
                .collect();
            // A name of itself: `use tool; tool::run()` of another crate.
            (brought.path.names.first() != Some(name) || brought.path.names.len() > 1)
                .then(|| find(house, modules, &here, &names, depth - 1))?
        }
        // The first name of a path is one of another crate, or of the prelude.
        None if is_start || here == *place && is_foreign(module, name) => None,
        _ => Some(module.file.clone()),
    }
}

/// Returns the file that defines the macro which a path from the root on names.
pub fn macro_file(modules: &Modules, root: usize, names: &[String]) -> Option<String> {
    let [name] = names else { return None };
    let mut modules = modules.iter().filter(|(place, _)| place.0 == root);
    let defined = modules.find(|(_, module)| module.scope.macros.contains(name));
    defined.map(|(_, module)| module.file.clone())
}

/// Tells whether a module says nothing of a name but that it begins a path.
fn is_foreign(module: &Module, name: &str) -> bool {
    !module.scope.names.contains_key(name)
}

/// How many faces a name is followed through.
const MAX_FACES: usize = 8;

pub fn arrows(house: &House, modules: &Modules) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (place, module) in modules {
        let uses = module.scope.uses.iter();
        let uses = uses.filter(|brought| !is_face(house, modules, place, brought));
        // What begins with a name that `use` brings in has its arrow there.
        let is_brought = |path: &&Path| {
            let mut uses = module.scope.uses.iter();
            uses.any(|brought| brought.name == path.names[0])
        };
        let inline = module.scope.paths.iter().filter(|path| !is_brought(path));
        for path in uses.map(|brought| &brought.path).chain(inline) {
            if let Some(to) = find(house, modules, place, &path.names, MAX_FACES)
                && to != module.file
            {
                arrows.push(Arrow {
                    from: module.file.clone(),
                    to,
                    path: path.clone(),
                });
            }
        }
    }
    arrows
}

/// Tells whether a `use` is there for others alone, and of the module's own folder.
fn is_face(house: &House, modules: &Modules, place: &Place, brought: &Use) -> bool {
    let from = &modules[place];
    let path = room_path(&from.file);
    let is_root = house.roots.contains(&from.file.as_str());
    let to = find(house, modules, place, &brought.path.names, 0);
    let is_own = is_root || to.is_some_and(|to| is_within(room_path(&to), path));
    brought.is_public
        && is_own
        && brought.name != "*"
        && !from.scope.names.contains_key(&brought.name)
}
