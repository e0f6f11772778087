//! Requests of any service in any form, and whatever the device answers.

use std::{cell::Cell, rc::Rc};

use device::engine::QueueKind;

use crate::{
    far::{self, Fate},
    service::{Request, Spec},
    world::{Pair, Session, World, excuses::Excuse, setup::Setup},
};

/// Requests of an execution at most.
const MOST_CALLS: usize = 6;
/// Rounds in which nothing happens, before there is nothing more. Without interrupts a caller that
/// waits is woken in each.
const MOST_IDLE_ROUNDS: usize = 20;

/// Sends requests of a few sessions to a device that answers as the input says.
///
/// Where it answered honestly the result is that of other software. An error leaves no part of an
/// answer behind. `Ok` comes of an answer alone that has the status OK and the length that it
/// needs.
///
/// # Panics
///
/// When anything is not as it has to be.
pub fn answers(input: &[u8]) {
    let world = World::begin(input, true);
    let setup = Setup::draw(&world);
    match world.add(&setup) {
        Ok(pair) => play(&world, &pair),
        Err(error) => world.judge_set_up(error),
    }
    world.end();
}

/// What has been done to answers until now.
#[derive(Debug, Default)]
struct Lies {
    /// To any of them.
    at_all: Cell<bool>,
    /// Of sessions: what the driver takes for one may be another.
    of_sessions: Cell<bool>,
}

fn play(world: &Rc<World>, pair: &Rc<Pair>) {
    let lies = Rc::<Lies>::default();
    decide_fates(world, &lies);
    // Those that were opened by a lie.
    let mut tainted: Vec<Rc<Session>> = Vec::new();
    for _ in 0..MOST_CALLS {
        if world.is_over() {
            break;
        }
        world.is_honest.set(!lies.of_sessions.get());
        world.fates.take();
        let what = world.byte();
        let session = world.some_session();
        match session {
            Some(session) if what & 7 != 0 => {
                if tainted.iter().any(|other| Rc::ptr_eq(other, &session)) {
                    world.is_honest.set(false);
                }
                let draw = || world.byte();
                let request = Request::draw(&draw, &session.spec);
                world.call(world.clone().request(session.clone(), request));
                if what & 0xc0 == 0xc0 {
                    // A second one beside it: whose answer was changed is not told.
                    world.is_alone.set(false);
                    let request = Request::draw(&draw, &session.spec);
                    world.call(world.clone().request(session, request));
                }
            }
            Some(_) if what & 8 != 0 => {
                world.is_honest.set(false);
                let session = world.take_session().and_then(Rc::into_inner);
                if let Some(session) = session {
                    world.call(world.clone().close(session));
                }
            }
            _ => {
                let is_stateless = pair.is_stateless() && what & 16 != 0;
                let spec = Spec::draw(&|| world.byte(), is_stateless);
                world.call(world.clone().open(pair.device.clone(), spec));
            }
        }
        serve(world, pair);
        world.is_alone.set(true);
        if !world.is_honest.get() {
            let sessions = world.sessions.borrow();
            tainted.extend(sessions.last().cloned());
        }
    }
    world.is_honest.set(!lies.at_all.get());
}

/// Has answers changed as the input says.
fn decide_fates(world: &Rc<World>, lies: &Rc<Lies>) {
    let (weak, lies) = (Rc::downgrade(world), lies.clone());
    far::set_fates(Some(Box::new(move |request| {
        let world = weak.upgrade();
        let Some((world, byte)) = world.and_then(|world| {
            let byte = world.meanwhile()?;
            Some((world, byte))
        }) else {
            return Fate::AsItIs;
        };
        let fate = match byte {
            0..112 => Fate::AsItIs,
            112..144 if !request.is_in_order => Fate::Later,
            112..144 => Fate::AsItIs,
            _ => world.some_fate(byte),
        };
        if !matches!(fate, Fate::AsItIs | Fate::Later) {
            lies.at_all.set(true);
            world.is_honest.set(false);
        }
        if !matches!(fate, Fate::AsItIs | Fate::Later) && request.kind == QueueKind::Control {
            lies.of_sessions.set(true);
        }
        world.fates.borrow_mut().push((fate, *request));
        fate
    })));
}

/// Has the device answer all that it does, in the order that the input says.
fn serve(world: &Rc<World>, pair: &Pair) {
    let Pair { device, far } = pair;
    let mut idle_rounds = 0;
    while idle_rounds < MOST_IDLE_ROUNDS {
        let mut has_happened = false;
        for queue in 0..far.queues() {
            has_happened |= far.serve(queue, 64) > 0;
            for kept in (1..=far.function.kept(queue)).rev() {
                let which = world.meanwhile().unwrap_or_default();
                far.finish(queue, usize::from(which) % kept);
                has_happened = true;
            }
        }
        has_happened |= far.deliver();
        if !has_happened && world.callers.len() > 0 {
            // Without interrupts a caller is woken by whoever drains.
            device.poll();
        }
        idle_rounds = if has_happened { 0 } else { idle_rounds + 1 };
        let has_woken = world.poll_woken();
        if !(has_happened || has_woken) || world.callers.len() == 0 {
            break;
        }
    }
    let is_waiting = world.callers.len() > 0;
    let has_lied = world.excuses.has(Excuse::Broken);
    assert!(
        !is_waiting || has_lied,
        "a request of an honest device has no end"
    );
    world.drop_all();
}
