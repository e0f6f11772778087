//! A row of the table: a rule of the specification, and the trial that tells whether it is kept.

use kernel::println;

use crate::{
    report::{
        Report,
        found::{Found, Verdict},
    },
    requests::features,
    rules::subject::Subject,
};

/// In the place of features: the trial needs no device that has been set up.
pub const NO_LIFE: u64 = u64::MAX;

/// A rule and its trial.
pub struct Row {
    /// By which results are compared from run to run, and by which a device of our own breaks it.
    pub id: &'static str,
    /// Of Virtio 1.3.
    pub section: &'static str,
    pub statement: &'static str,
    /// Features that the device works with during the trial, beside those that every driver
    /// accepts. Where it does not offer them, there is no trial.
    pub features: u64,
    pub trial: fn(&mut Subject) -> Verdict,
}

impl Row {
    pub fn announce(&self) {
        println!(
            "probe: rule={} section={} statement={}",
            self.id,
            self.section.replace(", ", ","),
            self.statement
        );
    }

    /// Makes the trial on a device that works, or that is left alone. What it leaves behind is no
    /// concern of the next one.
    pub fn run(&self, subject: &mut Subject, report: &mut Report) {
        subject.raw.step = self.id.into();
        println!("probe: trying={}", self.id);
        let found = match self.try_on(subject) {
            Ok(found) | Err(found) => found,
        };
        subject.raw.destroy_all();
        report.row(self.id, &found);
    }

    fn try_on(&self, subject: &mut Subject) -> Verdict {
        let lacking = self.features & !subject.offered;
        if subject.raw.stopped.is_some() {
            return Err(Found::not_tried("the device was left alone"));
        }
        if self.features != NO_LIFE {
            if lacking != 0 {
                return Err(Found::not_offered(features::names(lacking)));
            }
            subject.set_up(self.features)?;
        }
        (self.trial)(subject)
    }
}
