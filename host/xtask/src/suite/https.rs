//! The HTTPS unikernel in QEMU, used as somebody would use it.
//!
//! The rule: a server is booted once, and each of its clients is a test.

use super::part::Part;
use crate::{
    app::{
        https::{
            Trial,
            clients::{CHECKS, Verdict, at_once},
        },
        program::{Profile, Program},
    },
    files::program,
    report::{Failure, Result},
};

/// The machine of the tests' servers.
const SERVER: &str = "smp=2 mem=256M";

pub fn run(part: &mut Part) -> Result {
    let of_clients = CHECKS.iter().map(|check| check.test);
    let all: Vec<_> = of_clients.chain([IN_ORDER, RECOVERED]).collect();
    let Some(wanted) = part.begin_with(&all, |test| test) else {
        return Ok(());
    };
    let programs = ["openssl", "curl", "python3"];
    if programs.iter().any(|name| program(name).is_none()) {
        wanted.iter().for_each(|test| part.leave_out(test));
        return Ok(());
    }
    let server = Program::build(part.project, "https", Profile::Tests)?;
    let is_wanted = |test: &str| wanted.iter().any(|wanted| **wanted == test);
    if wanted.iter().any(|test| **test != RECOVERED) {
        serve(part, &server, is_wanted);
    }
    if is_wanted(RECOVERED) {
        let project = part.project;
        part.check(RECOVERED, || {
            recovered(Trial::start(project, &server, SERVER, "recover=300"))
        });
    }
    Ok(())
}

/// It ends in order, though a client keeps its connection.
const IN_ORDER: &str = "https_ends_in_order";
/// The device is recovered again and again, and no client fails.
const RECOVERED: &str = "https_device_is_recovered_while_serving";

/// Boots one server, lets its clients come one after the other, and ends it.
fn serve(part: &mut Part, server: &Program, is_wanted: impl Fn(&str) -> bool) {
    let checks = CHECKS.iter().filter(|check| is_wanted(check.test));
    let trial = match Trial::start(part.project, server, SERVER, "") {
        Ok(trial) => trial,
        Err(failure) => {
            let of_clients = checks.map(|check| check.test);
            let in_order = Some(IN_ORDER).filter(|test| is_wanted(test));
            for test in of_clients.chain(in_order) {
                part.check(test, || Err(said(&failure)));
            }
            return;
        }
    };
    for check in checks {
        part.check(check.test, || (check.run)(&trial.clients()));
    }
    if is_wanted(IN_ORDER) {
        part.check(IN_ORDER, || ends_in_order(trial));
    }
}

fn said(failure: &Failure) -> String {
    failure.reason().to_owned()
}

fn ends_in_order(trial: Trial) -> Verdict {
    let printed = trial.power_down().map_err(|failure| said(&failure))?;
    if printed.lines().any(|line| line.trim_end() == "https: pass") {
        return Ok(());
    }
    Err(format!("expected: the line https: pass\ngot: {printed}"))
}

fn recovered(trial: Result<Trial>) -> Verdict {
    let trial = trial.map_err(|failure| said(&failure))?;
    at_once(&trial.clients(), 16, 12)?;
    ends_in_order(trial)
}
