//! Tests of the driver on this host: its own, those of its services on the device library, and
//! under loom; and that it builds with each feature alone.
//!
//! The rule: what the driver offers is built in every form in which somebody may embed it.

use std::fs;

use super::part::Part;
use crate::{
    child,
    files::files_below,
    project::Project,
    report::{Failure, Result, fail},
};

pub fn run(part: &mut Part) -> Result {
    if !part.filter.may_match(&[part.project.path("driver")]) {
        return Ok(());
    }
    part.begin();
    let mut cargo = part
        .project
        .quick_host_cargo(&["host-test", "--all-features", "--"]);
    cargo.args(part.filter.words());
    part.cargo(&mut cargo)
}

/// All of it once more, on the other format of rings.
pub fn run_packed(part: &mut Part) -> Result {
    if !part.filter.may_match(&[part.project.path("driver")]) {
        return Ok(());
    }
    part.begin();
    let arguments = ["host-test", "--all-features", "--lib", "--"];
    let mut cargo = part.project.quick_host_cargo(&arguments);
    cargo.args(part.filter.words()).env("RING", "packed");
    part.cargo(&mut cargo)
}

/// What computes for long, and says of no ring what others do not say, too.
const SAYS_NOTHING_OF_RINGS: [&str; 6] = [
    "vectors",
    "rsa",
    "signature",
    "ecdsa",
    "secrets",
    "every_algorithm_alone",
];

/// The device library, the services on it and the targets of fuzzing, whose tests have crates of
/// their own. Most of the services' run on other rings, too.
pub fn run_services(part: &mut Part) -> Result {
    let folders = ["host/calls", "host/device", "host/services"];
    let folders = folders.map(|folder| part.project.path(folder));
    if !part.filter.may_match(&folders) {
        return Ok(());
    }
    part.begin();
    let test = |packages: &[&str]| {
        let arguments = [&["test", "--target", "host-tuple"], packages].concat();
        let mut cargo = part.project.quick_host_cargo(&arguments);
        cargo.args(["--features", "services/pkcs8,services/signature", "--"]);
        cargo.args(part.filter.words());
        cargo
    };
    // At once: by itself the device would be built with fewer features of RustCrypto, all anew.
    let mut all = test(&["-p", "calls", "-p", "device", "-p", "services"]);
    let mut cargo = test(&["-p", "services"]);
    part.cargo(&mut all)?;
    cargo.args(
        SAYS_NOTHING_OF_RINGS
            .iter()
            .flat_map(|name| ["--skip", name]),
    );
    for ring in ["packed", "in_order"] {
        part.cargo(cargo.env("RING", ring))?;
    }
    Ok(())
}

/// With no feature, and with each alone: all is built, the tests too, and nothing is run. [`run`]
/// and [`run_services`] try everything, with all features.
pub fn run_each_feature(part: &mut Part) -> Result {
    let name = |feature: &String| match &**feature {
        "" => "each_feature_none".to_owned(),
        feature => format!("each_feature_{feature}"),
    };
    let mut features = features(part.project)?;
    features.retain(|feature| part.filter.wants(&name(feature)));
    if features.is_empty() {
        return Ok(());
    }
    part.begin();
    for feature in features {
        let mut cargo = part.project.quick_host_cargo(&["check", "-q", "--target"]);
        cargo.args(["host-tuple", "-p", "virtio-crypto", "--lib", "--tests"]);
        cargo.args(["--no-default-features", "--features", &feature]);
        part.check_builds(&name(&feature), &mut cargo);
    }
    Ok(())
}

/// Only tests whose functions' names begin with `loom_`: others know nothing of it.
pub fn run_loom(part: &mut Part) -> Result {
    let mut tests = loom_tests(part.project)?;
    if !part.filter.lets_all_through() {
        let is_wanted = |name: &String| {
            let mut words = part.filter.names();
            words.any(|word| name.contains(last_piece(word)))
        };
        tests.retain(is_wanted);
    }
    if tests.is_empty() {
        return Ok(());
    }
    part.begin();
    let arguments = ["host-test", "--lib", "--", "--test-threads=1"];
    let mut cargo = part.project.loom_cargo(&arguments);
    part.cargo(cargo.args(tests))
}

fn last_piece(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// Returns the names of the driver's functions that begin with `loom_`.
fn loom_tests(project: &Project) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in files_below(&project.path("driver/src"))? {
        let text = fs::read_to_string(file)?;
        for rest in text.split("fn loom_").skip(1) {
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            names.push(format!("loom_{}", &rest[..end]));
        }
    }
    Ok(names)
}

/// Returns each feature of the driver as Cargo sees them, and "" for none in front. Where there is
/// no feature at all, there is nothing: that is how everything else is built.
///
/// # Errors
///
/// Fails when cargo does.
pub fn features(project: &Project) -> Result<Vec<String>> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let ended = child::capture(&mut project.host_cargo(&arguments))?;
    if ended.status != 0 {
        return fail(format_args!("cargo metadata: {}", ended.output.trim_end()));
    }
    let Some(mut names) = feature_names(&ended.output, "virtio-crypto") else {
        return Err(Failure::Because(
            "cargo metadata names no virtio-crypto".to_owned(),
        ));
    };
    if !names.is_empty() {
        names.insert(0, String::new());
    }
    Ok(names)
}

/// Finds `"features":{"a":[..],..}` of a package in cargo's JSON.
fn feature_names(metadata: &str, package: &str) -> Option<Vec<String>> {
    let start = format!("{{\"name\":\"{package}\",\"version\"");
    let (_, rest) = metadata.split_once(&start)?;
    let (_, rest) = rest.split_once("\"features\":{")?;
    let (features, _) = rest.split_once('}')?;
    // What each turns on stands in brackets.
    let keys = features
        .split(']')
        .filter_map(|entry| entry.split_once(":["));
    let name = |key: &str| key.trim_matches([',', '"', ' ']).to_owned();
    Some(keys.map(|(key, _)| name(key)).collect())
}

#[cfg(test)]
mod tests {
    use super::feature_names;

    #[test]
    fn features_are_found_in_cargos_words() {
        let text = r#"{"packages":[{"name":"kernel","version":"1","features":{"usage":[]}},
            {"name":"virtio-crypto","version":"1","x":[{"features":[]}],
            "features":{"pkcs8":["dep:pkcs8"],"signature":["dep:a","dep:b"]},"y":1}]}"#;
        let names = feature_names(text, "virtio-crypto").unwrap();
        assert_eq!(names, ["pkcs8", "signature"]);
        assert_eq!(feature_names(text, "kernel").unwrap(), ["usage"]);
        assert_eq!(feature_names(text, "other"), None);
        let none = r#"{"name":"virtio-crypto","version":"1","features":{}}"#;
        assert!(feature_names(none, "virtio-crypto").unwrap().is_empty());
    }
}
