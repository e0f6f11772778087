//! The power button, where ACPI has it as a fixed event (ACPI 6.5, 4.8.3.1): two registers, and no
//! code of the firmware's.
//!
//! For programs that end in order. The one rule: the button is looked at, now and then; its
//! interrupt stays masked.

use crate::{bus, cpu::ports::EventPort};

const POWER_BUTTON: u16 = 1 << 8;

/// The power button.
#[derive(Debug)]
pub struct Button {
    status: EventPort,
}

/// Has the machine take note of the power button from here on. `None` where there is none of this
/// kind.
pub fn button() -> Option<Button> {
    let port = bus::tables().power_button?;
    let (status, enable) = (EventPort::new(port), EventPort::new(port.checked_add(2)?));
    // A bit that is written to the status is cleared: an older press was for somebody else.
    status.write(POWER_BUTTON);
    enable.write(enable.read() | POWER_BUTTON);
    Some(Button { status })
}

impl Button {
    /// Whether it has been pressed since the last look.
    pub fn take_press(&self) -> bool {
        let is_pressed = self.status.read() & POWER_BUTTON != 0;
        if is_pressed {
            self.status.write(POWER_BUTTON);
        }
        is_pressed
    }
}
