//! The reader, and that the guard finds what it is for.

use std::collections::BTreeSet;

use crate::{
    graph::Files,
    rooms::House,
    rules::{faults, strays},
    source::{Scope, read},
};

/// Returns what a text imports: path, and the name that it has there.
fn uses(text: &str) -> Vec<String> {
    let uses = read(text).uses.into_iter();
    uses.map(|brought| format!("{} {}", brought.path.names.join("::"), brought.name))
        .collect()
}

fn paths(scope: &Scope) -> Vec<String> {
    scope
        .paths
        .iter()
        .map(|path| path.names.join("::"))
        .collect()
}

#[test]
fn trees_of_use_are_taken_apart() {
    let text = "use a::{self, b::{C, d as e, self as f}, g::*,}; pub(in crate::x) use super::h;";
    assert_eq!(
        uses(text),
        [
            "a a",
            "a::b::C C",
            "a::b::d e",
            "a::b f",
            "a::g *",
            "super::h h"
        ]
    );
    let is_public: Vec<_> = read(text)
        .uses
        .iter()
        .map(|brought| brought.is_public)
        .collect();
    assert_eq!(is_public, [false, false, false, false, false, true]);
    assert_eq!(uses("fn f() { use self::x::Y; }"), ["self::x::Y Y"]);
    assert_eq!(uses("use a;\n\nuse b::c;"), ["a a", "b::c c"]);
    assert_eq!(
        read("use a;\n\nuse b::{\n    c,\n    d,\n};").uses[2]
            .path
            .line,
        5
    );
}

#[test]
fn paths_within_code_are_found() {
    let scope = read("fn f(x: crate::a::B) -> u8 { super::g::<u8>(self::h::I { x }.j) }");
    assert_eq!(paths(&scope), ["crate::a::B", "super::g", "self::h::I"]);
    assert_eq!(
        paths(&read("const X: u8 = <crate::a::B as c::D>::E;")),
        ["crate::a::B", "c::D"]
    );
    assert_eq!(
        paths(&read("macro_rules! m { () => { $crate::a::b() }; }")),
        ["crate::a::b"]
    );
}

#[test]
fn comments_and_literals_say_nothing() {
    for text in [
        "// use a::b;\n/// crate::c::d\n//! e::f",
        "/* use a::b; /* c::d */ e::f */",
        r##"const A: &str = "use a::b; \" c::d"; const B: &[u8] = br#"e::f " g::h"#;"##,
        "const A: [char; 3] = ['\"', '\\'', ':']; const B: char = '\\u{22}';",
    ] {
        let scope = read(text);
        assert!(scope.uses.is_empty() && scope.paths.is_empty(), "{text}");
    }
    // A lifetime is no character, and a name may begin like a string.
    assert_eq!(
        paths(&read("fn f<'a>(x: &'a b::C, r: br::D) {}")),
        ["b::C", "br::D"]
    );
}

#[test]
fn what_is_for_tests_alone_is_left_out() {
    for text in [
        "#[cfg(test)] mod tests { use super::*; fn f() { crate::a::b(); } }",
        "#[cfg(test)]\n#[allow(x)]\npub(crate) fn f<A, B>(x: a::B, y: C) -> D { a::b() }",
        "#[cfg(all(test, not(loom)))] use a::{b, c};",
        "#[cfg(test)] mod tests;",
        "struct S { #[cfg(test)] x: a::B, }",
        "fn f() { #[cfg(test)] let x = [a::b(), a::c()]; #[cfg(test)] a::d(); }",
        "#[cfg(test)] const fn f() { a::b() }",
        "#[cfg(test)] const F: [a::B; 1] = [a::B { x: 1 }];",
        "#![cfg(test)] use a::b;",
        "#[cfg(all(any(fuzzed, test), not(loom)))] use a::b;",
    ] {
        let scope = read(text);
        let is_empty = scope.uses.is_empty() && scope.paths.is_empty() && scope.inner.is_empty();
        assert!(is_empty && scope.declared.is_empty(), "{text}: {scope:?}");
    }
    for (text, used) in [
        ("#[cfg(not(test))] use a::b;", "a::b b"),
        ("#[cfg(loom)] use a::b;", "a::b b"),
        ("#[cfg(any(test, loom))] use a::b;", "a::b b"),
        ("#[cfg(feature = \"test\")] use a::b;", "a::b b"),
        ("#[cfg(test)] use a::c; use a::b;", "a::b b"),
        ("#[cfg(test)] fn f() {} use a::b;", "a::b b"),
        ("struct S { #[cfg(test)] x: u8 } use a::b;", "a::b b"),
        (
            "#[cfg(test)] impl A for B { fn f(&self) {} } use a::b;",
            "a::b b",
        ),
    ] {
        assert_eq!(uses(text), [used], "{text}");
    }
}

const HOUSE: House = House {
    src: "small/src",
    library: "small",
    roots: &["lib.rs", "bin/tool/main.rs"],
    rooms: &[
        "bin/tool",
        "lib",
        "top",
        "large/first",
        "large/second",
        "low",
    ],
    by_root: &["Error"],
    unsafe_rooms: &["low"],
};

/// A small house with everything in order, and files of its own instead of some of it.
fn judge(changed: &[(&str, &str)]) -> Vec<String> {
    let mut files = Files::new();
    let mut put = |name: &str, text: &str| files.insert(name.to_owned(), text.to_owned());
    put(
        "lib.rs",
        "mod large; mod low; pub mod top; pub use self::{low::Error, top::Top};",
    );
    put(
        "top.rs",
        "use crate::{Error, large::first::First, low::Low}; pub struct Top;",
    );
    put("large/mod.rs", "pub mod first; pub mod second;");
    put(
        "large/first.rs",
        "use super::second::Second; pub struct First;",
    );
    put("large/second.rs", "pub struct Second;");
    put(
        "low/mod.rs",
        "mod error; mod value; pub use self::{error::Error, value::Low};",
    );
    put("low/error.rs", "pub struct Error;");
    put(
        "low/value.rs",
        "use super::Error; pub struct Low; const X: () = unsafe {};",
    );
    put("bin/tool/main.rs", "mod part; use small::top::Top;");
    put("bin/tool/part.rs", "fn f() { small::low::g() }");
    changed
        .iter()
        .for_each(|(name, text)| drop(put(name, text)));
    faults(&HOUSE, &files)
}

/// Checks that a change is found, and that nothing else is.
fn is_found(changed: &[(&str, &str)], fault: &str) {
    let faults = judge(changed);
    assert!(
        faults.len() == 1 && faults[0].contains(fault),
        "{fault}: {faults:#?}"
    );
    assert!(faults[0].contains("cargo test -p xtask --target host-tuple --test house"));
}

#[test]
fn house_in_order_has_no_faults() {
    assert_eq!(judge(&[]), [""; 0]);
}

#[test]
fn import_that_runs_upward_is_found() {
    let fault =
        "small/src/low/error.rs:2: crate::top::Top: the room `low` may not import from `top`";
    is_found(
        &[("low/error.rs", "pub struct Error;\nuse crate::top::Top;")],
        fault,
    );
    let inline = "pub struct Error;\nfn f() { crate::top::Top::new() }";
    is_found(
        &[("low/error.rs", inline)],
        "crate::top::Top::new: the room `low` may not import",
    );
    let relative = "pub struct Second; use super::{first::First};";
    let fault = "super::first::First: the room `large/second` may not import from `large/first`";
    is_found(
        &[
            ("large/second.rs", relative),
            ("large/first.rs", "pub struct First;"),
        ],
        fault,
    );
}

#[test]
fn import_through_the_face_of_a_folder_is_followed() {
    let text =
        "pub use crate::top::Top; mod error; mod value; pub use self::{error::Error, value::Low};";
    is_found(
        &[("low/mod.rs", text)],
        "the room `low` may not import from `top`",
    );
    // By way of the root, which stands above all.
    let text = "pub struct Error; use crate::large::Alias;";
    let face = "pub mod first; pub mod second; pub use self::first::First as Alias;";
    let fault = "the room `low` may not import from `large/first`";
    is_found(&[("low/error.rs", text), ("large/mod.rs", face)], fault);
}

#[test]
fn macro_is_where_it_is_defined() {
    let top =
        "use crate::{Error, say}; pub struct Top; #[macro_export] macro_rules! shout { () => {} }";
    let value = "use super::Error; pub struct Low; const X: () = unsafe {}; \
                 #[macro_export] macro_rules! say { () => { $crate::low::Low } }";
    assert_eq!(judge(&[("top.rs", top), ("low/value.rs", value)]), [""; 0]);
    let error = "pub struct Error; use crate::shout;";
    let changed = [
        ("top.rs", top),
        ("low/value.rs", value),
        ("low/error.rs", error),
    ];
    is_found(
        &changed,
        "crate::shout: the room `low` may not import from `top`",
    );
}

#[test]
fn name_by_the_root_is_found() {
    is_found(
        &[("bin/tool/main.rs", "mod part; use small::Top;")],
        "small/src/bin/tool/main.rs:1: small::Top: by the root",
    );
}

#[test]
fn circle_of_files_is_found() {
    let error = "pub struct Error; use super::Low;";
    let fault = "a circle of files: small/src/low/error.rs:1: super::Low -> low/value.rs; \
                 small/src/low/value.rs:1: super::Error -> low/error.rs";
    is_found(&[("low/error.rs", error)], fault);
    // A folder's own file takes part when it uses what it re-exports.
    let mine = "mod error; mod value; pub use self::{error::Error, value::Low}; \
                pub struct Mine(Low);";
    let value = "use super::Mine; pub struct Low; const X: () = unsafe {};";
    is_found(
        &[("low/mod.rs", mine), ("low/value.rs", value)],
        "super::Mine -> low/mod.rs",
    );
}

#[test]
fn rooms_and_the_list_agree() {
    let lib = "mod large; mod low; mod new; pub mod top; pub use self::{low::Error, top::Top};";
    is_found(
        &[("lib.rs", lib), ("new.rs", "struct New;")],
        "small/src/new.rs: a room that the list",
    );
    let large = "pub mod first; pub mod second; mod third;";
    let fault = "small/src/large/third/mod.rs: a room that the list";
    is_found(
        &[
            ("large/mod.rs", large),
            ("large/third/mod.rs", "struct Third;"),
        ],
        fault,
    );
    is_found(
        &[
            ("large/mod.rs", "pub mod first;"),
            ("large/first.rs", "pub struct First;"),
        ],
        "small/src/large/second: listed, but not there",
    );
}

#[test]
fn unsafe_stands_where_it_is_named() {
    let top = "use crate::low::Low;\npub struct Top;\nunsafe impl Send for Top {}";
    is_found(&[("top.rs", top)], "small/src/top.rs:3: `unsafe` in a room");
    let value = "use super::Error; pub struct Low;";
    is_found(
        &[("low/value.rs", value)],
        "small/src/low: named for `unsafe`, but has none",
    );
}

#[test]
fn files_that_nobody_declares_are_no_rooms() {
    let names: BTreeSet<_> = judge(&[("stray.rs", "use crate::top::Top;")])
        .into_iter()
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn files_that_nobody_declares_are_told() {
    let mut files = Files::new();
    for (name, text) in [
        ("lib.rs", "mod low; #[cfg(test)] mod tests;"),
        ("bin/tool/main.rs", "mod part;"),
        ("bin/tool/part.rs", ""),
        ("low/mod.rs", "mod error;"),
        ("low/error.rs", ""),
        ("tests/mod.rs", "mod low;"),
        ("tests/low.rs", ""),
    ] {
        files.insert(name.to_owned(), text.to_owned());
    }
    let told = |files: &Files| strays(&HOUSE, files);
    assert_eq!(told(&files), [""; 0]);
    for stray in ["error.rs", "low/tests.rs", "tests/part.rs"] {
        files.insert(stray.to_owned(), String::new());
    }
    let told = told(&files).join("\n");
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains("/low/tests.rs: a file that no module declares"));
}

#[test]
fn module_of_a_file_elsewhere_is_no_room() {
    let lib = "mod large; mod low; pub mod top; #[path = \"../../far.rs\"] mod far; \
               pub use self::{low::Error, top::Top};";
    let error = "pub struct Error; use crate::far::Far;";
    assert_eq!(judge(&[("lib.rs", lib), ("low/error.rs", error)]), [""; 0]);
}
