//! Draining the used ring: for an interrupt, or for a caller that polls and wants none.
//!
//! The one rule: what a drain brings is done without the lock.

use super::{
    Locked, POLLED, Queue,
    batch::Batch,
    guarded::{DrainReport, Drained, Guarded},
};
use crate::{Platform, error::DeviceFault, sync::atomic::Ordering};

impl<P: Platform> Queue<P> {
    /// Takes what the device has used: for an interrupt, which spends a credit if `spend` says so,
    /// or for a caller that polls. The caller hands the batch to [`finish`](Self::finish), and does
    /// what the report calls for.
    #[inline(never)]
    pub(crate) fn drain(&self, batch: &mut Batch, spend: bool) -> DrainReport {
        self.locked.with(|Locked { used, guarded }| {
            // On a queue that has ended nothing is taken from the ring any more. What the device
            // has used by then it may have told of, so credit still counts.
            let drained = match guarded.ended {
                None => Some(guarded.drain(used, &self.shared, batch)),
                Some(_) => {
                    guarded.observe(used);
                    None
                }
            };
            let mut report = self.report(guarded, drained);
            report.spent = spend && guarded.accounting.spend();
            report
        })
    }

    /// Drains like [`drain`](Self::drain), and spends a credit, for the one place that handles
    /// nearly all interrupts. `Ok` if it took something and nothing else is left to do.
    ///
    /// # Errors
    ///
    /// The whole report, if something else is left to do.
    #[inline(always)]
    pub(crate) fn drain_fast(&self, batch: &mut Batch) -> Result<(), DrainReport> {
        self.locked.with(|Locked { used, guarded }| {
            let drained = match guarded.ended {
                None => Some(guarded.drain(used, &self.shared, batch)),
                Some(_) => {
                    guarded.observe(used);
                    None
                }
            };
            match drained {
                Some((
                    Drained {
                        count: 1..,
                        more: false,
                    },
                    Ok(()),
                )) => {
                    guarded.accounting.spend();
                    Ok(())
                }
                rest => {
                    let mut report = self.report(guarded, rest);
                    report.spent = guarded.accounting.spend();
                    Err(report)
                }
            }
        })
    }

    /// Tells what a drain found. `None` is for a queue that had ended.
    #[cold]
    #[inline(never)]
    fn report(
        &self,
        guarded: &mut Guarded<P>,
        drained: Option<(Drained, Result<(), DeviceFault>)>,
    ) -> DrainReport {
        let mut report = DrainReport::default();
        let Some((Drained { count, more }, outcome)) = drained else {
            report.ended = true;
            return report;
        };
        (report.drained, report.more) = (count, more);
        if let Err(fault) = outcome {
            self.mark_broken(guarded, fault, &mut report);
        }
        report
    }

    /// Does what a batch calls for, without the lock: notify, then wake. The sessions in it are
    /// the caller's to end.
    #[inline]
    pub(crate) fn finish(&self, batch: &mut Batch) {
        if core::mem::take(&mut batch.kick) {
            self.ring_doorbell();
        }
        batch.wake_all();
    }

    /// Takes note that no interrupt will come: each waiting task drains.
    pub(crate) fn set_polled(&self) {
        self.poll_flags.fetch_or(POLLED, Ordering::Relaxed);
    }

    /// Takes note that a caller polls the ring from here on: asks for no interrupts until as many
    /// calls of [`end_polling`](Self::end_polling).
    pub(crate) fn begin_polling(&self) {
        self.with_current(|_, Locked { used, guarded }| {
            guarded.pollers += 1;
            used.suppress_interrupts();
        });
    }

    /// Takes note that a caller polls the ring no longer. After the last one the ring has to be
    /// drained once more: that asks for interrupts, and takes what came before it did.
    pub(crate) fn end_polling(&self) {
        self.with_current(|_, Locked { used, guarded }| {
            guarded.pollers -= 1;
            if guarded.pollers == 0 {
                used.allow_interrupts();
            }
        });
    }
}
