//! Draining the used ring: on behalf of an interrupt, or of a caller that polls and wants none.

use super::{
    POLLED, Queue,
    batch::Batch,
    guarded::{DrainReport, Guarded},
};
use crate::{Platform, error::DeviceFault, sync::atomic::Ordering};

impl<P: Platform> Queue<P> {
    /// Takes what the device has used, on behalf of an interrupt, which spends a credit if `spend`
    /// says so, or of a caller that looks. The caller hands the batch to [`finish`](Self::finish),
    /// and sees to what the report says.
    #[inline(never)]
    pub(crate) fn drain(&self, batch: &mut Batch, spend: bool) -> DrainReport {
        let mut report = DrainReport::default();
        self.guarded.with(|guarded| {
            // Of a queue that has ended the ring no longer counts; what was owed still does.
            report.ended = guarded.ended.is_some();
            if !report.ended
                && let Err(breakage) = guarded.drain(&self.shared, batch, &mut report)
            {
                self.mark_broken(guarded, breakage, &mut report);
            }
            report.spent = spend && guarded.accounting.spend();
        });
        report
    }

    /// Like [`drain`](Self::drain), spending a credit, for the one place that nearly all
    /// interrupts come by. `Ok` where it took something, and there is no more to it.
    ///
    /// # Errors
    ///
    /// The whole report, where there is more to it.
    #[inline(always)]
    pub(crate) fn drain_fast(&self, batch: &mut Batch) -> Result<(), DrainReport> {
        self.guarded.with(|guarded| {
            let mut report = DrainReport::default();
            let outcome = match guarded.ended {
                None => Some(guarded.drain(&self.shared, batch, &mut report)),
                Some(_) => None,
            };
            match outcome {
                Some(Ok(())) if report.drained > 0 && !report.more => {
                    guarded.accounting.spend();
                    Ok(())
                }
                rest => Err(self.complete_report(guarded, rest, report)),
            }
        })
    }

    /// Completes a report that [`drain_fast`](Self::drain_fast) begins; `None` of
    /// a queue that had ended.
    #[cold]
    #[inline(never)]
    fn complete_report(
        &self,
        guarded: &mut Guarded<P>,
        drained: Option<Result<(), DeviceFault>>,
        mut report: DrainReport,
    ) -> DrainReport {
        match drained {
            None => report.ended = true,
            Some(Ok(())) => {}
            Some(Err(breakage)) => self.mark_broken(guarded, breakage, &mut report),
        }
        report.spent = guarded.accounting.spend();
        report
    }

    /// Does what a batch calls for, without the lock: notify, then wake. The sessions in it are
    /// the caller's to end.
    #[inline]
    pub(crate) fn finish(&self, batch: &mut Batch) {
        if core::mem::take(&mut batch.kick) {
            self.doorbell.ring();
        }
        batch.wake_all();
    }

    /// Takes note that no interrupt will come: whoever waits drains.
    pub(crate) fn set_polled(&self) {
        self.poll_flags.fetch_or(POLLED, Ordering::Relaxed);
    }

    /// Somebody looks at the ring from here on: asks for no interrupts until as many
    /// [`end_polling`](Self::end_polling).
    pub(crate) fn begin_polling(&self) {
        self.guarded.with(|guarded| {
            guarded.pollers += 1;
            guarded.ring.suppress_interrupts();
        });
    }

    /// Ends the polling of one caller. After the last one the ring has to be drained once more:
    /// that asks for interrupts, and takes what came before it did.
    pub(crate) fn end_polling(&self) {
        self.guarded.with(|guarded| {
            guarded.pollers -= 1;
            if guarded.pollers == 0 {
                guarded.ring.allow_interrupts();
            }
        });
    }
}
