//! The device's hardware goes and comes: see [`guarded::readiness`](super::guarded).

use super::{Locked, Queue, batch::Batch, guarded::Guarded};
use crate::{Platform, sync::run_all};

impl<P: Platform> Queue<P> {
    /// Tells whether the device's hardware is ready, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        self.with(|guarded| guarded.is_ready)
    }

    /// Takes note whether the device's hardware is ready; `true` if that is news. Any context.
    pub(crate) fn set_ready(&self, is_ready: bool) -> bool {
        let mut batch = Batch::default();
        let (queue, (is_news, more)) = self.with_current(|queue, Locked { guarded, .. }| {
            let was_ready = core::mem::replace(&mut guarded.is_ready, is_ready);
            guarded.send_or_not();
            if was_ready == is_ready {
                return (false, false);
            }
            guarded.close_or_open();
            // In the same hold of the lock as the opening: callers from here on come after those
            // that wait.
            let more = guarded.serve_or_turn_away(&queue.shared, &mut batch);
            batch.kick |= guarded.decide_deferred_kick();
            (true, more)
        });
        if is_news {
            queue.finish_all(batch, more);
        }
        is_news
    }

    /// Goes on if there are more than one batch holds.
    #[cold]
    fn finish_all(&self, mut batch: Batch, mut more: bool) {
        // Each pass serves or turns away some callers, who have left the line then.
        run_all(|| {
            self.finish(&mut batch);
            let goes_on = more;
            if goes_on {
                let pass =
                    |guarded: &mut Guarded<P>| guarded.serve_or_turn_away(&self.shared, &mut batch);
                more = self.with(pass);
            }
            goes_on
        });
    }
}
