//! Files that the host gives the guest: `-fw_cfg name=opt/..,file=..` of QEMU (its document
//! specs/fw_cfg).
//!
//! For keys and passphrases, which a command line would show to everybody. The one rule: what is
//! read is wiped when it is dropped.
#![expect(unsafe_code, reason = "the ports of QEMU's fw_cfg device")]

use alloc::vec;

use kernel::exit;
use qemu_fw_cfg::FwCfg;
use spin::Mutex;
use zeroize::Zeroizing;

/// Most bytes of a file: keys, chains of certificates and passphrases have a few thousand.
const MAX_LEN: usize = 1 << 20;

/// Selector and data belong together.
static PORTS: Mutex<()> = Mutex::new(());

/// A file's content.
pub type Content = Zeroizing<alloc::vec::Vec<u8>>;

/// Reads the file of this name. `None` where there is none, or no such device; one that is longer
/// than a MiB ends the run.
pub fn file(name: &str) -> Option<Content> {
    let _ports = PORTS.lock();
    // SAFETY: the two ports are QEMU's device's or nobody's, this room alone has them, and one of
    // its callers at a time.
    let mut device = unsafe { FwCfg::new_for_x86() }.ok()?;
    let file = device.find_file(name)?;
    if file.size() > MAX_LEN {
        let len_bytes = file.size();
        exit::fail(format_args!(
            "fw_cfg: {name} has {len_bytes} bytes: at most {MAX_LEN}"
        ));
    }
    let mut content = Zeroizing::new(vec![0; file.size()]);
    device.read_file_to_buffer(&file, &mut content);
    Some(content)
}
