//! The sessions that are open.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    engine::refusals::NO_SESSION,
    rules::Rule,
    services::Session,
    wire::{
        algorithm::Service,
        header::Form,
        status::{Refusal, Status},
    },
};

/// Sessions by their id. A request that runs keeps its session, whatever becomes of the id.
#[derive(Debug)]
pub(super) struct Sessions {
    limit: AtomicUsize,
    broken: Option<Rule>,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Opened>,
    /// What an honest device forgets: the number of all that were opened, ids that were ended, and
    /// the session that was opened last.
    opened: u64,
    ended: BTreeMap<u64, Opened>,
    last: Option<Opened>,
}

#[derive(Clone, Debug)]
struct Opened {
    session: Arc<Session>,
    /// How many were open before it.
    others: usize,
}

impl Sessions {
    pub(super) fn new(limit: usize, broken: Option<Rule>) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            broken,
            table: RwLock::default(),
        }
    }

    /// Changes how many may be open. Those that are stay.
    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.read().open.len()
    }

    /// Opens a session by the lowest free id, as QEMU does. An id that comes back at once shows a
    /// driver that still uses the old one.
    pub(super) fn insert(&self, session: Session, form: Form) -> Result<u64, Refusal> {
        let mut table = self.write();
        let taken = match self.broken {
            Some(Rule::DestroyFreesItsPlace) => table.opened as usize,
            _ => table.open.len(),
        };
        if taken >= self.limit.load(Ordering::Relaxed) {
            return Err(Refusal {
                // NOSPC came with REVISION_1 (5.9.7.1).
                status: match (form, self.broken) {
                    (_, Some(Rule::SessionLimitStatus)) => Status::NotSupported,
                    (_, Some(Rule::NospcWithRevision1Only)) | (Form::Exact, _) => Status::NoSpace,
                    (Form::Padded, _) => Status::Err,
                },
                why: "no free session",
            });
        }
        let id = match self.broken {
            Some(Rule::SessionIdsUnique) => table.opened % 4,
            _ => {
                let ids = (0..).zip(table.open.keys());
                ids.take_while(|(id, taken)| id == *taken).count() as u64
            }
        };
        let opened = Opened {
            session: Arc::new(session),
            others: table.open.len(),
        };
        table.ended.remove(&id);
        table.opened += 1;
        table.last = Some(opened.clone());
        table.open.insert(id, opened);
        Ok(id)
    }

    /// Ends a session, if the opcode is of its service.
    pub(super) fn remove(&self, id: u64, service: Service) -> Result<(), Refusal> {
        let mut table = self.write();
        let Some(opened) = table.open.get(&id) else {
            let answers_ok = match self.broken {
                Some(Rule::SecondDestroyIsRefused) => table.ended.contains_key(&id),
                Some(Rule::UnknownDestroyAnswersErr) => !table.ended.contains_key(&id),
                _ => false,
            };
            return match answers_ok {
                true => Ok(()),
                false => Err(Refusal::error("no such session")),
            };
        };
        let is_own = opened.session.service() == service;
        if is_own || self.broken == Some(Rule::DestroyByAnotherService) {
            let ended = table.open.remove(&id);
            table.ended.extend(ended.map(|opened| (id, opened)));
            table.last = None;
        }
        match is_own {
            true => Ok(()),
            false => Err(Refusal::error("the session is another service's")),
        }
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<Session>, Refusal> {
        let table = self.read();
        let opened = match (self.broken, table.open.get(&id)) {
            (Some(Rule::DestroyEndsTheSession), None) => table.ended.get(&id),
            (Some(Rule::SessionsKeepTheirKeys), Some(own)) => {
                let last = table.last.as_ref().unwrap_or(own);
                let is_alike = last.session.kind() == own.session.kind();
                Some(if is_alike { last } else { own })
            }
            (Some(Rule::SessionServes), Some(own)) if own.others == 1 => None,
            (_, own) => own,
        };
        let opened = opened.ok_or(NO_SESSION)?;
        Ok(Arc::clone(&opened.session))
    }

    pub(super) fn clear(&self) {
        *self.write() = Table::default();
    }

    // Nothing panics half way through a change of the table, so poison says nothing.

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
