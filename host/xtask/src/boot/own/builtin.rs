//! A device of QEMU's own in a slot, where it leaves and comes back while the guest runs.
//!
//! For [`Devices`](super::Devices). The one rule: the device that comes back is the one that was
//! there from the start, on the same backend.

use super::attached::port;

/// A device of QEMU's builtin backend.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// Its place among such devices.
    number: u32,
    /// The number of its slot.
    slot: usize,
    vectors: u32,
    /// More options, as on a command line.
    options: String,
    /// How often it has come.
    lives: u32,
}

impl Builtin {
    /// Makes one, of as many vectors and of these options.
    pub fn new(number: u32, slot: usize, vectors: u32, options: &str) -> Self {
        Self {
            number,
            slot,
            vectors,
            options: options.to_owned(),
            lives: 1,
        }
    }

    /// Returns the arguments by which QEMU has it from the start. Its backend is there already.
    pub fn arguments(&self) -> [String; 4] {
        [
            "-device".to_owned(),
            port(self.slot),
            "-device".to_owned(),
            self.json(),
        ]
    }

    /// Returns what QEMU calls it now.
    pub fn id(&self) -> String {
        format!("builtin{}-{}", self.number, self.lives - 1)
    }

    /// Begins its next life, in which it has another name: QEMU may still be at the end of the one
    /// before.
    pub fn begin_next_life(&mut self) {
        self.lives += 1;
    }

    /// Returns it as JSON, for the command line and for the monitor.
    pub fn json(&self) -> String {
        let Self {
            number,
            slot,
            vectors,
            ..
        } = self;
        let id = self.id();
        let mut json = format!(
            r#"{{"driver":"virtio-crypto-pci","id":"{id}","cryptodev":"cryptodev{number}","#
        );
        json += &format!(r#""vectors":{vectors},"bus":"slot{slot}""#);
        let options = self.options.split(',').filter_map(|it| it.split_once('='));
        for (name, value) in options {
            let value = match value {
                "on" => "true".to_owned(),
                "off" => "false".to_owned(),
                number if number.parse::<u64>().is_ok() => number.to_owned(),
                text => format!(r#""{text}""#),
            };
            json += &format!(r#","{name}":{value}"#);
        }
        json + "}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_that_comes_back_is_the_same_by_another_name() {
        let mut device = Builtin::new(1, 3, 0, "packed=on,queue-size=64,romfile=x");
        let expected = |life: u32| {
            format!(
                r#"{{"driver":"virtio-crypto-pci","id":"builtin1-{life}","cryptodev":"cryptodev1","#
            ) + r#""vectors":0,"bus":"slot3","packed":true,"queue-size":64,"romfile":"x"}"#
        };
        let [_, port, _, first] = device.arguments();
        assert_eq!(port, "pcie-root-port,id=slot3,chassis=3,slot=3");
        assert_eq!(first, expected(0));
        device.begin_next_life();
        assert_eq!(
            (device.id(), device.json()),
            ("builtin1-1".to_owned(), expected(1))
        );
    }
}
