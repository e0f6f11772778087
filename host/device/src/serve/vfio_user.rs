//! The whole PCI function by vfio-user, for QEMU's `vfio-user-pci`.
//!
//! For the program. QEMU passes on what the guest reads and writes, shares the guest's memory as
//! files, and gives an event file for each MSI-X vector and for the interrupt line. The one rule: a
//! file is written only while QEMU wants it to be.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_AUTOMASKED, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_BAR1_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

use super::remove_old;
use crate::{
    function::{
        Carrier, Function, Workers,
        layout::RANGE_BYTES,
        pci::{SPACE_BYTES, STRUCTURES_BAR, Space, TABLE_BAR, TABLE_RANGE_BYTES},
    },
    memory::Memory,
    options::Options,
};

/// How the function interrupts.
#[derive(Debug)]
struct Interrupts {
    /// The event files of MSI-X vectors, as far as the guest uses them.
    vectors: RwLock<Vec<Option<File>>>,
    line: Mutex<Line>,
}

/// The interrupt line. QEMU holds it up from an event on, until the guest touches the function;
/// then it asks whether that was all.
#[derive(Debug)]
struct Line {
    /// Where QEMU hears of it, while the guest uses no vectors.
    file: Option<File>,
    /// By an event, until QEMU asks whether that was all; or by QEMU.
    is_masked: bool,
    /// As the guest says in the function's configuration space.
    is_enabled: bool,
}

impl Interrupts {
    fn new(vectors: u16) -> Self {
        let line = Line {
            file: None,
            is_masked: false,
            is_enabled: true,
        };
        Self {
            vectors: RwLock::new((0..vectors).map(|_| None).collect()),
            line: Mutex::new(line),
        }
    }

    fn set(&self, vector: usize, file: Option<File>) {
        let files = self.vectors.write();
        let mut files = files.unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = files.get_mut(vector) {
            *place = file;
        }
    }

    fn change_line(&self, change: impl FnOnce(&mut Line)) {
        change(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Line {
    fn raise(&mut self) {
        if let Some(file) = &self.file
            && self.is_enabled
            && !self.is_masked
        {
            self.is_masked = true;
            signal(file);
        }
    }
}

fn signal(mut file: &File) {
    // An event that cannot be counted any further is one that is still to be seen.
    let _ = file.write_all(&1_u64.to_ne_bytes());
}

impl Carrier for Arc<Interrupts> {
    fn message(&self, vector: u16) {
        let files = self.vectors.read();
        let files = files.unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(file)) = files.get(usize::from(vector)) {
            signal(file);
        }
    }

    fn raise(&self) {
        self.change_line(Line::raise);
    }

    fn report(&self, line: &str) {
        eprintln!("device: {line}");
    }
}

/// What QEMU talks to.
struct Backend {
    function: Arc<Function>,
    space: Space,
    interrupts: Arc<Interrupts>,
}

/// Makes a device, gives it to `ready`, and serves it to the one that connects to a socket, until
/// that one hangs up.
///
/// # Errors
///
/// Fails where there can be no such socket, or where the other side breaks the protocol.
pub fn serve(
    socket: &Path,
    options: Options,
    ready: impl FnOnce(&Arc<Function>) -> io::Result<()>,
) -> io::Result<String> {
    remove_old(socket)?;
    let count = options.vector_count();
    let interrupts = Arc::new(Interrupts::new(count));
    let memory = Memory::default();
    let function = Arc::new(Function::new(options, memory, Box::new(interrupts.clone())));
    ready(&function)?;
    let _workers = Workers::start(&function);
    let irqs = (0..VFIO_PCI_NUM_IRQS)
        .map(|index| irq(index, count))
        .collect();
    let regions = (0..VFIO_PCI_NUM_REGIONS).map(region).collect();
    let server = Server::new(socket, true, irqs, regions).map_err(io::Error::other)?;
    let mut backend = Backend {
        space: Space::new(count),
        function: function.clone(),
        interrupts,
    };
    server.run(&mut backend).map_err(io::Error::other)?;
    Ok(function.stats())
}

/// The line is level triggered: an event masks it until QEMU unmasks it.
const LINE_FLAGS: u32 = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;

fn irq(index: u32, vectors: u16) -> IrqInfo {
    let count = match index {
        VFIO_PCI_INTX_IRQ_INDEX => 1,
        VFIO_PCI_MSIX_IRQ_INDEX => u32::from(vectors),
        _ => 0,
    };
    let flags = match index {
        VFIO_PCI_INTX_IRQ_INDEX => LINE_FLAGS,
        _ if count > 0 => VFIO_IRQ_INFO_EVENTFD,
        _ => 0,
    };
    IrqInfo {
        index,
        count,
        flags,
    }
}

fn region(index: u32) -> ServerRegion {
    let size = match index {
        VFIO_PCI_BAR0_REGION_INDEX => RANGE_BYTES,
        VFIO_PCI_BAR1_REGION_INDEX => TABLE_RANGE_BYTES,
        VFIO_PCI_CONFIG_REGION_INDEX => SPACE_BYTES as u64,
        _ => 0,
    };
    let both = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    let region_info = vfio_region_info {
        // Far below what 32 bits hold.
        argsz: size_of::<vfio_region_info>() as u32,
        flags: if size > 0 { both } else { 0 },
        index,
        size,
        ..Default::default()
    };
    ServerRegion {
        region_info,
        sparse_areas: Vec::new(),
        mmap_fd: None,
    }
}

const _: () = assert!(VFIO_PCI_BAR0_REGION_INDEX == STRUCTURES_BAR as u32);
const _: () = assert!(VFIO_PCI_BAR1_REGION_INDEX == TABLE_BAR as u32);

impl Backend {
    /// Raises the line if there is a reason.
    fn ask_line(&self) {
        if self.function.is_raised() {
            self.interrupts.change_line(Line::raise);
        }
    }

    fn set_line(&self, flags: u32, files: Vec<File>) -> io::Result<()> {
        let has_file = !files.is_empty();
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            self.interrupts.change_line(|line| {
                line.file = files.into_iter().next();
                line.is_masked = false;
            });
        } else if flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 {
            if has_file {
                // KVM would unmask it by an event of its own. Refused, QEMU says it by messages.
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.interrupts.change_line(|line| line.is_masked = false);
        } else {
            self.interrupts.change_line(|line| line.is_masked = true);
        }
        self.ask_line();
        Ok(())
    }
}

impl ServerBackend for Backend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => self.space.read(offset, data, &self.function),
            VFIO_PCI_BAR0_REGION_INDEX => self.function.read(offset, data),
            // QEMU keeps the table of vectors itself.
            _ => data.fill(0),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                self.space.write(offset, data, &self.function);
                let is_enabled = self.space.is_line_enabled();
                self.interrupts
                    .change_line(|line| line.is_enabled = is_enabled);
                self.ask_line();
            }
            VFIO_PCI_BAR0_REGION_INDEX => self.function.write(offset, data),
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        // What comes without a file is no memory: a device's range, say.
        let Some(file) = file else { return Ok(()) };
        self.function.memory().map(file, offset, address, size)
    }

    fn dma_unmap(&mut self, _: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        self.function.memory().unmap(address, size)?;
        self.function.quiesce();
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.function.reset();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        files: Vec<File>,
    ) -> io::Result<()> {
        if index == VFIO_PCI_INTX_IRQ_INDEX {
            return self.set_line(flags, files);
        }
        if index != VFIO_PCI_MSIX_IRQ_INDEX || flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(());
        }
        let (start, count) = (start as usize, count as usize);
        let most = usize::from(self.function.options().vector_count());
        let mut files = files.into_iter();
        // None at all takes all away; so does one without a file for its own.
        let range = if count == 0 {
            0..most
        } else {
            start..start.saturating_add(count).min(most)
        };
        for vector in range {
            self.interrupts.set(vector, files.next());
        }
        Ok(())
    }
}
