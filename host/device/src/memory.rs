//! Guest memory: what the driver lets the device reach.
//!
//! For the rings, and for whoever serves a device. The one rule: an address is the driver's word,
//! so each access is checked against what is mapped, and one beside it is an error.

use std::{fmt, fs::File, io, sync::Arc, sync::atomic::Ordering};

use vm_memory::{
    AtomicAccess, Bytes, FileOffset, GuestAddress, GuestAddressSpace, GuestMemoryAtomic,
    GuestMemoryBackend, GuestMemoryLoadGuard, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap,
    MmapRegion,
};

/// What is mapped. It may change while queues are served.
#[derive(Debug)]
pub struct Memory {
    map: GuestMemoryAtomic<GuestMemoryMmap>,
    watch: Option<Watch>,
}

/// What was mapped at one moment. It stays mapped for as long as this lives.
#[derive(Debug)]
pub struct View {
    map: GuestMemoryLoadGuard<GuestMemoryMmap>,
    watch: Option<Watch>,
}

/// An access of the device's, before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The address of the guest.
    pub address: u64,
    /// Bytes that are read or written.
    pub len_bytes: usize,
    /// They are written.
    pub is_write: bool,
}

/// Looks at each access: for a test that knows what the driver has given the device.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(Access) + Send + Sync>);

impl Watch {
    /// Has each access looked at by `look`.
    pub fn new(look: impl Fn(Access) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// An access to an address at which nothing is mapped, or not so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped {
    /// The address of the guest.
    pub address: u64,
    /// Bytes that were to be read or written.
    pub len_bytes: usize,
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, len_bytes } = self;
        write!(f, "{len_bytes} bytes at {address:#x} are not mapped")
    }
}

impl std::error::Error for Unmapped {}

impl Default for Memory {
    fn default() -> Self {
        GuestMemoryAtomic::new(GuestMemoryMmap::new()).into()
    }
}

impl From<GuestMemoryAtomic<GuestMemoryMmap>> for Memory {
    /// Takes memory that somebody else changes, too.
    fn from(map: GuestMemoryAtomic<GuestMemoryMmap>) -> Self {
        Self { map, watch: None }
    }
}

impl Memory {
    /// Has each access looked at from here on.
    #[must_use]
    pub fn watched(self, watch: Watch) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    /// Makes memory of this process alone, for a driver in it.
    ///
    /// # Errors
    ///
    /// Fails where there is no room for it.
    pub fn within(base: u64, len_bytes: usize) -> io::Result<Self> {
        let map = GuestMemoryMmap::from_ranges(&[(GuestAddress(base), len_bytes)]);
        Ok(GuestMemoryAtomic::new(map.map_err(refused)?).into())
    }

    /// Maps a stretch of a file at an address of the guest.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be mapped, or where something else is mapped already.
    pub fn map(&self, file: File, offset: u64, base: u64, len_bytes: u64) -> io::Result<()> {
        let len_bytes = usize::try_from(len_bytes).map_err(refused)?;
        let region = MmapRegion::from_file(FileOffset::new(file, offset), len_bytes);
        let region = GuestRegionMmap::new(region.map_err(refused)?, GuestAddress(base))
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.change(|now| now.insert_region(Arc::new(region)).map_err(refused))
    }

    /// Takes away whatever is mapped within these addresses. Views that exist still reach it.
    ///
    /// # Errors
    ///
    /// Fails where something lies across an end of the stretch; then nothing is taken away.
    pub fn unmap(&self, base: u64, len_bytes: u64) -> io::Result<()> {
        let end = base.saturating_add(len_bytes);
        self.change(|now| {
            let mut rest = now.clone();
            for region in now.iter() {
                let first = region.start_addr().0;
                let past = first.saturating_add(region.len());
                if past <= base || first >= end {
                    continue;
                }
                if first < base || past > end {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                let without = rest.remove_region(region.start_addr(), region.len());
                rest = without.map_err(refused)?.0;
            }
            Ok(rest)
        })
    }

    /// Puts another map in the place of all that is mapped.
    pub fn replace(&self, map: GuestMemoryMmap) {
        // A poisoned lock guards nothing but the order of those who change it.
        let lock = self.map.lock();
        lock.unwrap_or_else(|poisoned| poisoned.into_inner())
            .replace(map);
    }

    /// Returns what is mapped now.
    pub fn view(&self) -> View {
        View {
            map: self.map.memory(),
            watch: self.watch.clone(),
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&GuestMemoryMmap) -> io::Result<GuestMemoryMmap>,
    ) -> io::Result<()> {
        let lock = self.map.lock();
        let lock = lock.unwrap_or_else(|poisoned| poisoned.into_inner());
        let changed = change(&self.map.memory())?;
        lock.replace(changed);
        Ok(())
    }
}

impl View {
    fn look(&self, address: u64, len_bytes: usize, is_write: bool) {
        if let Some(Watch(look)) = &self.watch {
            look(Access {
                address,
                len_bytes,
                is_write,
            });
        }
    }

    /// Tells whether so many bytes are mapped.
    pub fn has(&self, address: u64, len_bytes: usize) -> bool {
        self.map.check_range(GuestAddress(address), len_bytes)
    }

    /// Returns so many bytes.
    ///
    /// # Errors
    ///
    /// Fails where they are not mapped, before it makes room for them.
    pub fn read(&self, address: u64, len_bytes: usize) -> Result<Vec<u8>, Unmapped> {
        self.look(address, len_bytes, false);
        let unmapped = Unmapped { address, len_bytes };
        if !self.has(address, len_bytes) {
            return Err(unmapped);
        }
        let mut bytes = vec![0; len_bytes];
        let read = self.map.read_slice(&mut bytes, GuestAddress(address));
        read.map_err(|_| unmapped)?;
        Ok(bytes)
    }

    /// Returns `N` bytes.
    ///
    /// # Errors
    ///
    /// Fails where they are not mapped.
    pub fn read_array<const N: usize>(&self, address: u64) -> Result<[u8; N], Unmapped> {
        self.look(address, N, false);
        let mut bytes = [0; N];
        let read = self.map.read_slice(&mut bytes, GuestAddress(address));
        read.map_err(|_| Unmapped {
            address,
            len_bytes: N,
        })?;
        Ok(bytes)
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// Fails where they are not mapped.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        self.look(address, bytes.len(), true);
        let written = self.map.write_slice(bytes, GuestAddress(address));
        let len_bytes = bytes.len();
        written.map_err(|_| Unmapped { address, len_bytes })
    }

    /// Loads a word, at an address that is a multiple of its size.
    ///
    /// # Errors
    ///
    /// Fails where it is not mapped, or the address is not such.
    pub fn load<T: AtomicAccess>(&self, address: u64, order: Ordering) -> Result<T, Unmapped> {
        self.look(address, size_of::<T>(), false);
        let loaded = self.map.load(GuestAddress(address), order);
        let len_bytes = size_of::<T>();
        loaded.map_err(|_| Unmapped { address, len_bytes })
    }

    /// Stores a word, at an address that is a multiple of its size.
    ///
    /// # Errors
    ///
    /// Fails where it is not mapped, or the address is not such.
    pub fn store<T: AtomicAccess>(
        &self,
        value: T,
        address: u64,
        order: Ordering,
    ) -> Result<(), Unmapped> {
        self.look(address, size_of::<T>(), true);
        let stored = self.map.store(value, GuestAddress(address), order);
        let len_bytes = size_of::<T>();
        stored.map_err(|_| Unmapped { address, len_bytes })
    }

    /// Returns where in this process an address of the guest is, for a driver in it.
    pub fn host_address(&self, address: u64) -> Option<*mut u8> {
        self.map.get_host_address(GuestAddress(address)).ok()
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_map_is_an_error() {
        let view = Memory::within(0x1000, 0x1000).unwrap().view();
        view.write(0x1ffe, &[1, 2]).unwrap();
        assert_eq!(view.read(0x1ffe, 2), Ok(vec![1, 2]));
        for (address, len_bytes) in [(0x1fff, 2), (0xfff, 1), (u64::MAX, 1), (0x1000, 0x1001)] {
            let unmapped = Unmapped { address, len_bytes };
            assert_eq!(view.read(address, len_bytes), Err(unmapped));
        }
        let unmapped = Unmapped {
            address: 0x1001,
            len_bytes: 2,
        };
        assert_eq!(view.load::<u16>(0x1001, Ordering::Relaxed), Err(unmapped));
    }

    #[test]
    fn each_access_is_looked_at() {
        let seen = Arc::<std::sync::Mutex<Vec<_>>>::default();
        let look = seen.clone();
        let watch = Watch::new(move |access| look.lock().unwrap().push(access));
        let memory = Memory::within(0x1000, 0x1000).unwrap().watched(watch);
        let view = memory.view();
        view.write(0x1002, &[1, 2, 3]).unwrap();
        view.read(0x1003, 2).unwrap();
        view.read_array::<4>(0x1004).unwrap();
        view.store(7_u16, 0x1006, Ordering::Relaxed).unwrap();
        view.load::<u32>(0x1008, Ordering::Relaxed).unwrap();
        // One beside the map is looked at, too.
        assert!(view.read(0x2000, 1).is_err());
        let access = |address, len_bytes, is_write| Access {
            address,
            len_bytes,
            is_write,
        };
        let expected = [
            access(0x1002, 3, true),
            access(0x1003, 2, false),
            access(0x1004, 4, false),
            access(0x1006, 2, true),
            access(0x1008, 4, false),
            access(0x2000, 1, false),
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn stretches_come_and_go_whole() {
        let file = vm_memory_file();
        let memory = Memory::default();
        memory
            .map(file.try_clone().unwrap(), 0, 0x1000, 0x1000)
            .unwrap();
        memory
            .map(file.try_clone().unwrap(), 0x1000, 0x4000, 0x2000)
            .unwrap();
        assert!(memory.map(file, 0, 0x4000, 0x1000).is_err(), "overlap");
        let before = memory.view();
        assert!(memory.unmap(0x5000, 0x1000).is_err(), "a part of one");
        memory.unmap(0, 0x4000).unwrap();
        let after = memory.view();
        assert!(before.has(0x1000, 1) && !after.has(0x1000, 1));
        assert!(after.has(0x4000, 0x2000));
        memory.unmap(0, u64::MAX).unwrap();
        assert!(!memory.view().has(0x4000, 1));
    }

    fn vm_memory_file() -> File {
        let path = std::env::temp_dir().join(format!("device-memory-{}", std::process::id()));
        let open = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path);
        let file = open.unwrap();
        file.set_len(0x3000).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
