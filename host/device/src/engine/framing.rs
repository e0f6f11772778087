//! How a chain is cut into descriptors.

use crate::{engine::chain::Chain, options::Framing, wire::status::Refusal};

/// Checks a chain whose fields have these lengths.
pub(super) fn check(
    framing: Framing,
    chain: &Chain,
    readable: &[usize],
    writable: &[usize],
) -> Result<(), Refusal> {
    let fits = match framing {
        Framing::Any => true,
        Framing::OnePerField => {
            let lens = chain.readable.iter().map(Vec::len);
            is_one_per_field(lens, readable)
                && is_one_per_field(chain.writable.iter().copied(), writable)
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Refusal::error("not one descriptor a field"))
    }
}

/// An empty field has no descriptor.
fn is_one_per_field(descriptors: impl Iterator<Item = usize>, fields: &[usize]) -> bool {
    descriptors.eq(fields.iter().copied().filter(|len| *len > 0))
}
