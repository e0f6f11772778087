//! A house, its list of rooms, and which room a file belongs to.

/// A folder `src` and its order.
#[derive(Debug)]
pub struct House {
    /// The folder, from the root of the repository.
    pub src: &'static str,
    /// The name that the library has for others, and in its own binaries.
    pub library: &'static str,
    /// The files that a crate begins with: the library first, then the binaries.
    pub roots: &'static [&'static str],
    /// From the top down. A room is a file or a folder; where rooms of a folder stand in the list,
    /// all of them do.
    pub rooms: &'static [&'static str],
    /// Names that are imported by the root; everything else is by its module's path.
    pub by_root: &'static [&'static str],
    /// Where `unsafe` may stand.
    pub unsafe_rooms: &'static [&'static str],
}

/// Returns the room of a file, as a path without `.rs` and `/mod.rs`.
pub fn room_path(file: &str) -> &str {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    path.strip_suffix("/mod").unwrap_or(path)
}

pub fn is_within(path: &str, room: &str) -> bool {
    path.strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns a file's place in the list: that of the innermost room which holds it.
pub fn room_of(house: &House, file: &str) -> Option<usize> {
    let path = room_path(file);
    let rooms = house.rooms.iter().enumerate();
    let holds = rooms.filter(|(_, room)| is_within(path, room));
    let (position, room) = holds.max_by_key(|(_, room)| room.len())?;
    // A file of a folder whose rooms are listed, and is none of them.
    let is_divided = house
        .rooms
        .iter()
        .any(|other| other != room && is_within(other, room));
    (path == *room || !is_divided).then_some(position)
}
