//! How a chain is cut into descriptors.

use crate::{
    engine::{broken::Broken, chain::Chain},
    options::Framing,
    rules::Rule,
    wire::{reader::Reader, status::Refusal},
};

/// Ends the reading of a chain, and returns the length of each field.
pub(super) fn fields(framing: Framing, reader: Reader<'_>) -> Result<Vec<usize>, Refusal> {
    match framing {
        Framing::Surplus => Ok(reader.fields()),
        Framing::Any | Framing::OnePerField => reader.finish(),
    }
}

/// Tells whether so many bytes may be writable where results and status take so many.
pub(super) fn fits(framing: Framing, writable_bytes: usize, needed_bytes: usize) -> bool {
    match framing {
        Framing::Surplus => writable_bytes >= needed_bytes,
        Framing::Any | Framing::OnePerField => writable_bytes == needed_bytes,
    }
}

/// Checks a chain whose fields have these lengths.
pub(super) fn check(
    framing: Framing,
    chain: &Chain,
    readable: &[usize],
    writable: &[usize],
) -> Result<(), Refusal> {
    let fits = match framing {
        Framing::Any | Framing::Surplus => true,
        Framing::OnePerField => {
            let lens = chain.readable.iter().map(Vec::len);
            begins_each(lens, readable) && begins_each(chain.writable.iter().copied(), writable)
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::error("not a descriptor of its own for each field"))
    }
}

/// Refuses what a broken rule refuses. Header and fixed-length parameters are the first field.
pub(super) fn check_broken(
    broken: &Broken,
    chain: &Chain,
    readable: &[usize],
) -> Result<(), Refusal> {
    let head = chain.readable.first().map_or(0, Vec::len);
    let is_cut = readable.first().is_some_and(|len| head < *len);
    let descriptors = chain.readable.len() + chain.writable.len();
    if broken.breaks(Rule::AnyFraming) && is_cut
        || broken.breaks(Rule::OneByteDescriptors) && descriptors > 32
    {
        return Err(Refusal::error("a broken rule"));
    }
    Ok(())
}

/// Tells whether a descriptor begins wherever a field does. An empty field has none; a long one may
/// have several.
fn begins_each(descriptors: impl Iterator<Item = usize>, fields: &[usize]) -> bool {
    let begins = starts(descriptors);
    let fields = fields.iter().copied().filter(|len| *len > 0);
    starts(fields).iter().all(|start| begins.contains(start))
}

/// Returns where things of these lengths begin that lie one behind the other.
fn starts(lens: impl Iterator<Item = usize>) -> Vec<usize> {
    lens.scan(0_usize, |at, len| {
        let start = *at;
        *at = at.saturating_add(len);
        Some(start)
    })
    .collect()
}
