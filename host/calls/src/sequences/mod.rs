//! Random sequences of calls, on an honest device and on a hostile one.
//!
//! The input says which calls are made, and what happens between any two steps of the driver: the
//! device serves, interrupts come on this CPU or on another, other CPUs make calls of their own.
//!
//! On an honest device every result is right, every error has a reason, no wake and no kick is
//! lost, and every interrupt is accounted for. On both: the device reaches only what is the
//! driver's, pages and requests come to their end, and no secret is left.

mod devices;
mod many;
mod steps;

use crate::world::World;

/// Calls of an execution at most.
const MOST_CALLS: usize = 150;

/// Plays a sequence of calls on a device that keeps to the rules.
///
/// # Panics
///
/// When anything is not as it has to be.
pub fn calls_honest(input: &[u8]) {
    play(input, true);
}

/// Plays a sequence of calls on a device that breaks rules as the input says.
///
/// # Panics
///
/// When anything is not as it has to be.
pub fn calls_hostile(input: &[u8]) {
    play(input, false);
}

fn play(input: &[u8], is_honest: bool) {
    let world = World::begin(input, is_honest);
    world.begin_meanwhile();
    world.contain(|| world.set_up());
    for _ in 0..MOST_CALLS {
        if world.is_over() {
            break;
        }
        world.contain(|| world.step_of_a_caller());
    }
    world.end();
}
