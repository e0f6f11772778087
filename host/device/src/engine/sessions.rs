//! The sessions that are open.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
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
    limit: usize,
    open: RwLock<BTreeMap<u64, Arc<Session>>>,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: RwLock::default(),
        }
    }

    /// Opens a session by the lowest free id, as QEMU does. An id that comes back at once shows a
    /// driver that still uses the old one.
    pub(super) fn insert(&self, session: Session, form: Form) -> Result<u64, Refusal> {
        let mut open = self.write();
        if open.len() >= self.limit {
            return Err(Refusal {
                // NOSPC came with REVISION_1 (5.9.7.1).
                status: match form {
                    Form::Exact => Status::NoSpace,
                    Form::Padded => Status::Err,
                },
                why: "no free session",
            });
        }
        let taken = (0..)
            .zip(open.keys())
            .take_while(|(id, taken)| id == *taken);
        let id = taken.count() as u64;
        open.insert(id, Arc::new(session));
        Ok(id)
    }

    /// Ends a session, if the opcode is of its service.
    pub(super) fn remove(&self, id: u64, service: Service) -> Result<(), Refusal> {
        let mut open = self.write();
        let session = open.get(&id).ok_or(Refusal::error("no such session"))?;
        if session.service() != service {
            return Err(Refusal::error("the session is another service's"));
        }
        open.remove(&id);
        Ok(())
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<Session>, Refusal> {
        self.read().get(&id).cloned().ok_or(Refusal {
            status: Status::InvalidSession,
            why: "no such session",
        })
    }

    pub(super) fn clear(&self) {
        self.write().clear();
    }

    // Nothing panics half way through a change of the map, so poison says nothing.

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}
