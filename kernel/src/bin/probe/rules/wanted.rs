//! Which rows are tried.

/// Which rows are tried: those of a list with commas, or all.
#[derive(Clone, Copy, Debug)]
pub struct Wanted(pub Option<&'static str>);

impl Wanted {
    pub fn is_all(self) -> bool {
        self.0.is_none()
    }

    pub fn has(self, row: &str) -> bool {
        self.0.is_none_or(|ids| ids.split(',').any(|id| id == row))
    }
}
