//! The function: configuration space as the bytes say, and BARs that keep the bus's rules.

use alloc::vec::Vec;
use core::ops::Range;

use crate::fuzzing::{
    input::Input,
    machine::{self, REGISTERS_LEN},
};

const COMMAND: usize = 1;
const MEMORY_SPACE: u32 = 2;
const INTX_DISABLED: u32 = 1 << 10;
const BAR_0: usize = 4;

/// What a BAR register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    None,
    Io,
    /// Memory of so many bytes, a power of two.
    Memory(u64),
    /// The same, with an upper half in the register behind.
    Wide(u64),
    UpperHalf,
}

/// A change that comes by itself.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// So many reads from the start.
    at_read: u16,
    word: usize,
    flipped: u32,
}

/// A PCI function.
pub(super) struct Function {
    pub(super) words: [u32; 64],
    pub(super) bars: [Bar; 6],
    changes: Vec<Change>,
    reads: u16,
    /// Where the BARs' registers have been on the bus: address, length and offset.
    windows: Vec<(u64, usize, usize)>,
    /// How often each BAR register was told to show its size.
    sized: [u32; 6],
    /// As it was at the start.
    first_words: [u32; 64],
}

impl Function {
    pub(super) fn new(input: &mut Input) -> Self {
        let mut function = Self {
            words: [0; 64],
            bars: [Bar::None; 6],
            changes: Vec::new(),
            reads: 0,
            windows: Vec::new(),
            sized: [0; 6],
            first_words: [0; 64],
        };
        let odd = input.byte();
        function.words[0] = if odd & 0xf == 0xf {
            input.u32()
        } else {
            0x1054_1af4
        };
        function.words[COMMAND] = u32::from(odd & 0xf0 != 0xf0) << 20 | u32::from(input.byte());
        function.add_bars(input);
        function.add_capabilities(input);
        for _ in 0..input.below(4) {
            function.changes.push(Change {
                at_read: input.byte().into(),
                word: input.below(64),
                flipped: input.u32(),
            });
        }
        // Two queues, with their doorbells at the start of the structure: the rest is the bytes'.
        for _ in 0..input.below(4) {
            let at = usize::from(input.u16()) % (REGISTERS_LEN - 2);
            machine::set_registers(at, &input.bytes::<2>());
        }
        function.first_words = function.words;
        function
    }

    fn add_bars(&mut self, input: &mut Input) {
        let mut bar = 0;
        while bar < 6 {
            let kind = input.byte();
            let size = 16u64 << (kind >> 3 & 0xf);
            let (place, room) = ((bar * 0x800) & !0xfff, 0x1000);
            let wide = match kind & 7 {
                0 | 1 => {
                    bar += 1;
                    continue;
                }
                2 => {
                    self.bars[bar] = Bar::Io;
                    self.words[BAR_0 + bar] = 0xc001;
                    bar += 1;
                    continue;
                }
                3 => false,
                _ => true,
            };
            let high = if wide && kind & 7 == 7 {
                input.u32()
            } else {
                0
            };
            let address = (u64::from(input.u16()) << 16 | u64::from(high) << 32) & !(size - 1);
            self.bars[bar] = if wide {
                Bar::Wide(size)
            } else {
                Bar::Memory(size)
            };
            self.words[BAR_0 + bar] = address as u32 | if wide { 0b1100 } else { 0 };
            // What is there on the bus may be shorter than what the BAR decodes.
            let len_bytes = (size as usize).min(room);
            let len_bytes = len_bytes - if kind & 0x80 != 0 { 8 } else { 0 };
            let offset = place + (address % 0x1000) as usize;
            if offset + len_bytes <= REGISTERS_LEN {
                machine::add_registers(address, offset, len_bytes);
                self.windows.push((address, len_bytes, offset));
            }
            bar += 1;
            if wide && bar < 6 {
                self.bars[bar] = Bar::UpperHalf;
                self.words[BAR_0 + bar] = high;
                bar += 1;
            }
        }
    }

    /// Capabilities one behind the other, each 20 bytes but for what the bytes say.
    fn add_capabilities(&mut self, input: &mut Input) {
        let count = input.below(12);
        self.words[13] = if count == 0 { 0 } else { 0x40 };
        for index in 0..count {
            let at = 0x40 + 20 * index;
            if at + 20 > 0x100 {
                break;
            }
            let next = if index + 1 < count { at + 20 } else { 0 } as u8;
            let kind = input.byte();
            let cfg_type = kind & 7;
            let next = if kind & 8 != 0 { input.byte() } else { next };
            let cap_len = if kind & 16 != 0 { input.byte() } else { 20 };
            let id = match cfg_type {
                7 => 0x11,
                _ if kind & 32 != 0 => input.byte(),
                _ => 0x09,
            };
            let bar = input.byte();
            let (offset, len) = match kind & 64 {
                0 => (u32::from(input.byte()) * 4, u32::from(input.byte())),
                _ => (input.u32(), input.u32()),
            };
            let multiplier = if cfg_type == 2 {
                u32::from(input.byte())
            } else {
                0
            };
            let words = &mut self.words[at / 4..];
            words[0] = u32::from_le_bytes([id, next, cap_len, cfg_type]);
            words[1] = bar.into();
            if cfg_type == 7 {
                words[0] = u32::from_le_bytes([id, next, len as u8, (len >> 8) as u8 & 7]);
                words[1] = offset & !7 | u32::from(bar & 7);
            }
            words[2] = offset;
            words[3] = len;
            words[4] = multiplier;
        }
    }

    /// Tells whether anything changes by itself.
    pub(super) fn changes(&self) -> bool {
        !self.changes.is_empty()
    }

    pub(super) fn read(&mut self, word: u8) -> u32 {
        for change in &self.changes {
            if change.at_read == self.reads {
                self.words[change.word] ^= change.flipped;
            }
        }
        self.reads = self.reads.saturating_add(1);
        self.words[usize::from(word)]
    }

    pub(super) fn write(&mut self, word: u8, value: u32) {
        let word = usize::from(word);
        let is_decoded = self.words[COMMAND] & MEMORY_SPACE != 0;
        self.words[word] = match word {
            COMMAND => self.words[COMMAND] & 0xffff_0000 | value & 0xffff,
            _ if (BAR_0..BAR_0 + 6).contains(&word) => {
                let bar = word - BAR_0;
                // And not what it is to read afterwards.
                if value == u32::MAX && self.first_words[word] != value {
                    self.sized[bar] += 1;
                }
                assert!(
                    !is_decoded || self.changes(),
                    "a BAR moves while the function decodes it"
                );
                match self.bars[bar] {
                    Bar::None => 0,
                    Bar::Io => value & !0x3f | 1,
                    Bar::Memory(size) => value & !(size as u32 - 1),
                    Bar::Wide(size) => value & !(size as u32 - 1) | 0b1100,
                    Bar::UpperHalf => value,
                }
            }
            _ => value,
        };
    }

    /// Returns where bytes at an address are among the machine's registers.
    pub(super) fn place(&self, address: u64, len_bytes: usize) -> Option<Range<usize>> {
        let end = address.checked_add(len_bytes as u64)?;
        let holds = |window: &&(u64, usize, usize)| {
            window.0 <= address && end <= window.0 + window.1 as u64
        };
        let (first, _, offset) = self.windows.iter().find(holds)?;
        let start = offset + (address - first) as usize;
        Some(start..start + len_bytes)
    }

    /// Tells whether a memory BAR holds these bytes, or has done so.
    pub(super) fn holds(&self, address: u64, len_bytes: usize) -> bool {
        // Whatever changes may have been a BAR.
        self.changes()
            || self.stretches().any(|(start, size)| {
                let end = address.checked_add(len_bytes as u64);
                start <= address && end.is_some_and(|end| end - 1 <= start + (size - 1))
            })
    }

    fn stretches(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..6).filter_map(|bar| self.stretch(bar))
    }

    /// Returns address and size of a memory BAR.
    pub(super) fn stretch(&self, bar: usize) -> Option<(u64, u64)> {
        let low = self.first_words[BAR_0 + bar];
        match self.bars[bar] {
            Bar::Memory(size) => Some(((low & !0xf).into(), size)),
            Bar::Wide(size) if bar < 5 => {
                let high = u64::from(self.first_words[BAR_0 + bar + 1]);
                Some((u64::from(low & !0xf) | high << 32, size))
            }
            _ => None,
        }
    }

    /// Checks that each BAR was sized once at most, and that all of them are as they were.
    pub(super) fn check_sized(&self) {
        if self.changes() {
            return;
        }
        assert!(self.sized.iter().all(|times| *times <= 1), "sized again");
        let bars = BAR_0..BAR_0 + 6;
        assert_eq!(self.words[bars.clone()], self.first_words[bars]);
    }

    /// Checks that of MSI-X, whose capability is at a word, and INTx one is on, and which.
    pub(super) fn check_switches(&self, msix: usize, enabled: bool) {
        assert_eq!(self.words[msix] >> 31 != 0, enabled);
        assert_eq!(self.words[COMMAND] & INTX_DISABLED != 0, enabled);
    }
}
