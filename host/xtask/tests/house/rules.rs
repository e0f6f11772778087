//! What is wrong with a house, a line each: file, line, what stands there, and how to look again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    graph::{Arrow, Files, Module, Modules, arrows, macro_file, modules, root_place},
    rooms::{House, is_within, room_of, room_path},
    source::Path,
};

/// Returns all that is wrong with a house, a line each.
pub fn faults(house: &House, files: &Files) -> Vec<String> {
    let modules = modules(house, files);
    let arrows = arrows(house, &modules);
    let mut faults = room_faults(house, &modules);
    for arrow in &arrows {
        faults.extend(arrow_fault(house, arrow));
    }
    faults.extend(circles(house, &arrows));
    faults.extend(unsafe_faults(house, &modules));
    faults.extend(root_faults(house, &modules));
    faults
}

/// Returns a fault for each file that no module declares, not even a test's: nothing builds it.
pub fn strays(house: &House, files: &Files) -> Vec<String> {
    let is_root = |file: &str| house.roots.contains(&file);
    let folder = |path: &str| {
        let (folder, _) = path.rsplit_once('/').unwrap_or_default();
        folder.to_owned()
    };
    let is_stray = |file: &str| {
        let path = room_path(file);
        let name = path.rsplit('/').next().unwrap_or(path);
        let declaration = format!("mod {name};");
        let is_declared = files.iter().any(|(other, text)| {
            // Modules of a root lie beside it, those of another file in a folder of its name.
            let below = match is_root(other) {
                true => folder(other),
                false => room_path(other).to_owned(),
            };
            below == folder(path) && text.contains(&declaration)
        });
        !is_root(file) && !is_declared
    };
    let strays = files.keys().filter(|file| is_stray(file));
    let src = house.src;
    strays
        .map(|file| format!("{src}/{file}: a file that no module declares ({ALONE})"))
        .collect()
}

const ALONE: &str = "alone: cargo test -p xtask --target host-tuple --test house";

fn arrow_fault(house: &House, arrow: &Arrow) -> Option<String> {
    let (from, to) = (room_of(house, &arrow.from)?, room_of(house, &arrow.to)?);
    (to < from).then(|| {
        let Arrow {
            from: file, path, ..
        } = arrow;
        let (src, line, names) = (house.src, path.line, path.names.join("::"));
        let (from, to) = (house.rooms[from], house.rooms[to]);
        format!(
            "{src}/{file}:{line}: {names}: the room `{from}` may not import from `{to}`, \
             which stands above it ({ALONE})"
        )
    })
}

/// Rooms that are not listed, and listed ones that are not there.
fn room_faults(house: &House, modules: &Modules) -> Vec<String> {
    let src = house.src;
    let files: BTreeSet<_> = modules.values().map(|module| &module.file).collect();
    // What only says which modules there are, and shows them, is no room of its own.
    let has_content = |module: &&Module| !module.scope.names.is_empty();
    let contents = modules
        .values()
        .filter(has_content)
        .map(|module| &module.file);
    let contents: BTreeSet<_> = contents.collect();
    let unlisted = contents
        .iter()
        .filter(|file| room_of(house, file).is_none());
    let mut faults: Vec<_> = unlisted
        .map(|file| format!("{src}/{file}: a room that the list does not name ({ALONE})"))
        .collect();
    let is_there = |room: &str| files.iter().any(|file| is_within(room_path(file), room));
    for room in house.rooms.iter().chain(house.unsafe_rooms) {
        if !is_there(room) {
            faults.push(format!("{src}/{room}: listed, but not there ({ALONE})"));
        }
    }
    faults
}

/// Files of one room that need each other.
fn circles(house: &House, arrows: &[Arrow]) -> Vec<String> {
    let mut needs = BTreeMap::<&str, BTreeMap<&str, &Path>>::new();
    // Between rooms a circle has an arrow that runs upward, which is told of by itself.
    let is_within_room = |arrow: &&Arrow| room_of(house, &arrow.from) == room_of(house, &arrow.to);
    for arrow in arrows.iter().filter(is_within_room) {
        let to = needs.entry(&arrow.from).or_default();
        to.entry(&arrow.to).or_insert(&arrow.path);
    }
    let mut faults = Vec::new();
    let mut told = BTreeSet::new();
    for start in needs.keys() {
        if told.contains(start) {
            continue;
        }
        if let Some(circle) = circle(&needs, start) {
            told.extend(circle.iter().copied());
            let steps: Vec<_> = circle
                .iter()
                .zip(circle.iter().cycle().skip(1))
                .map(|(from, to)| {
                    let path = needs[from][to];
                    let (src, line, names) = (house.src, path.line, path.names.join("::"));
                    format!("{src}/{from}:{line}: {names} -> {to}")
                })
                .collect();
            let steps = steps.join("; ");
            faults.push(format!("a circle of files: {steps} ({ALONE})"));
        }
    }
    faults
}

/// Returns the shortest way from a file back to itself.
fn circle<'a>(
    needs: &BTreeMap<&'a str, BTreeMap<&'a str, &Path>>,
    start: &&'a str,
) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![*start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for to in needs
            .get(way[way.len() - 1])
            .into_iter()
            .flat_map(BTreeMap::keys)
        {
            if to == start {
                return Some(way);
            }
            if seen.insert(*to) {
                ways.push_back(way.iter().chain([to]).copied().collect());
            }
        }
    }
    None
}

/// `unsafe` where none may stand, and rooms that are named for none.
fn unsafe_faults(house: &House, modules: &Modules) -> Vec<String> {
    let src = house.src;
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for Module { file, scope } in modules.values() {
        let Some(line) = scope.unsafe_lines.first() else {
            continue;
        };
        let rooms = house.unsafe_rooms.iter();
        match rooms.copied().find(|room| is_within(room_path(file), room)) {
            Some(room) => drop(used.insert(room)),
            None => faults.push(format!(
                "{src}/{file}:{line}: `unsafe` in a room that is not named for it ({ALONE})"
            )),
        }
    }
    for room in house
        .unsafe_rooms
        .iter()
        .filter(|room| !used.contains(*room))
    {
        faults.push(format!(
            "{src}/{room}: named for `unsafe`, but has none ({ALONE})"
        ));
    }
    faults
}

/// Names that are imported by the root and have a module of their own.
fn root_faults(house: &House, modules: &Modules) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, Module { file, scope }) in modules {
        let uses = scope.uses.iter().map(|brought| &brought.path);
        for path in uses.chain(&scope.paths) {
            let Some(root) = root_place(house, &path.names, place) else {
                continue;
            };
            let Some(name) = path.names.get(1) else {
                continue;
            };
            // A module's, wherever its file is, and a macro's, which has no other path.
            let mut declared = modules
                .get(&root)
                .into_iter()
                .flat_map(|it| &it.scope.declared);
            let is_own = modules.contains_key(&(root.0, vec![name.clone()]))
                || declared.any(|declared| declared == name)
                || macro_file(modules, root.0, &path.names[1..]).is_some();
            if !is_own && !house.by_root.contains(&name.as_str()) {
                let (src, line, names) = (house.src, path.line, path.names.join("::"));
                faults.push(format!(
                    "{src}/{file}:{line}: {names}: by the root, and not by its module ({ALONE})"
                ));
            }
        }
    }
    faults
}
