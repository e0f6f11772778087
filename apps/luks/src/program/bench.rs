//! Megabytes a second of a volume, by request size and depth: the crypto device beside software.
//!
//! The rule: both have the same disk and the same container, in one run, and have read the same
//! before either is measured.

use alloc::{sync::Arc, vec, vec::Vec};

use common::disk::Disk;
use kernel::{
    bench::measure::{self, Counts, Histogram, Micros, Ratio},
    crypto::CryptoDevice,
    println,
    task::executor,
    time,
};
use luks::{
    kdf::Limits,
    opening,
    volume::{Access, Volume, VolumeError},
};

use super::{
    ending::{expect, fail},
    passphrase,
    software::{SoftwareSource, SoftwareVolume},
};

/// Bytes that both have to read alike first.
const COMPARED_LEN: usize = 256 << 10;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    Write,
}

/// Who ciphers the sectors.
#[derive(Clone)]
enum Way {
    Device(Arc<Volume>),
    Software(Arc<SoftwareVolume>),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Software(_) => "software",
        }
    }

    async fn transfer(
        &self,
        operation: Operation,
        first_sector: u64,
        bytes: &mut [u8],
    ) -> Result<(), VolumeError> {
        match (self, operation) {
            (Self::Device(volume), Operation::Read) => volume.read(first_sector, bytes).await,
            (Self::Device(volume), Operation::Write) => volume.write(first_sector, bytes).await,
            (Self::Software(volume), Operation::Read) => volume.read(first_sector, bytes).await,
            (Self::Software(volume), Operation::Write) => volume.write(first_sector, bytes).await,
        }
    }
}

/// Opens the container in both ways and measures them, by the words `sizes=`, `depths=`, `ms=`.
pub async fn run(device: &Arc<CryptoDevice>) {
    if !cfg!(feature = "usage") {
        fail("built without the feature `usage`, so nobody counts what the CPU does");
    }
    let sizes = measure::numbers_in("sizes", &[4096, 65_536, 1 << 20], 4096..=4 << 20);
    let depths = measure::numbers_in("depths", &[1, 4, 16], 1..=256);
    let duration_ms = measure::duration_ms(400);
    let disk = expect(Disk::open(0));
    let passphrase = passphrase::given();
    let source = SoftwareSource(disk);
    let opened = opening::open(&source, &passphrase, &Limits::default()).await;
    let (header, opened) = expect(opened);
    let software = SoftwareVolume::new(disk, header.segment, &opened.key);
    let volume = Volume::open(device.clone(), disk, &passphrase, Access::Write).await;
    let volume = Arc::new(expect(volume));
    let ways = [
        Way::Device(volume.clone()),
        Way::Software(Arc::new(software)),
    ];
    compare(&ways).await;
    for operation in [Operation::Read, Operation::Write] {
        for size in &sizes {
            for depth in &depths {
                for way in &ways {
                    let load = Load {
                        operation,
                        size: *size as usize,
                        sector_len: volume.sector_len(),
                        places: volume.sectors() * volume.sector_len() as u64 / size,
                        until_ns: time::now_ns() + duration_ms * 1_000_000,
                    };
                    measure_load(device, way, &load, *depth).await;
                }
            }
        }
    }
}

/// Ends the run where the two ways have not read the same.
async fn compare(ways: &[Way; 2]) {
    let mut read = Vec::new();
    for way in ways {
        let mut bytes = vec![0; COMPARED_LEN];
        expect(way.transfer(Operation::Read, 0, &mut bytes).await);
        read.push(bytes);
    }
    if read[0] != read[1] {
        fail("the device and software have read different bytes");
    }
}

/// What is done again and again, and until when.
#[derive(Clone, Debug)]
struct Load {
    operation: Operation,
    size: usize,
    sector_len: usize,
    places: u64,
    until_ns: u64,
}

impl Load {
    /// Returns how many requests were made until the time was up.
    async fn run(&self, way: &Way, number: u64, latencies: &Histogram) -> u64 {
        let mut bytes = vec![number as u8; self.size];
        let (mut requests, mut place) = (0, number.wrapping_mul(0x9e37_79b9));
        while time::now_ns() < self.until_ns {
            // Here and there, the same for both ways.
            place = place
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (place >> 33) % self.places * self.size as u64;
            let sector = at / self.sector_len as u64;
            let begun_ns = time::now_ns();
            expect(way.transfer(self.operation, sector, &mut bytes).await);
            latencies.add(time::now_ns() - begun_ns);
            requests += 1;
        }
        requests
    }
}

async fn measure_load(device: &Arc<CryptoDevice>, way: &Way, load: &Load, depth: u64) {
    let latencies = Arc::new(Histogram::new());
    let before = Counts::read(device);
    let tasks: Vec<_> = (0..depth)
        .map(|number| {
            let (load, way, latencies) = (load.clone(), way.clone(), latencies.clone());
            let run = async move { load.run(&way, number, &latencies).await };
            expect(executor::spawn(run).map_err(|_| "too many tasks: tasks=N makes room"))
        })
        .collect();
    let mut requests = 0;
    for task in tasks {
        requests += task.await;
    }
    let counts = Counts::read(device).since(&before);
    let bytes = requests * load.size as u64;
    let cpu_percent = counts.cpu_percent();
    let cpu_ns = counts.now_ns * cpu_percent / 100;
    let operation = match load.operation {
        Operation::Read => "read",
        Operation::Write => "write",
    };
    println!(
        "bench: name=luks sector={} op={operation} cipher={} size={} depth={depth} mb_s={} \
         cpu_percent={cpu_percent} cpu_ms_per_mb={} p50_us={} p99_us={} sectors_per_kick={}",
        load.sector_len,
        way.name(),
        load.size,
        Ratio(bytes * 1000, counts.now_ns),
        Ratio(cpu_ns, bytes),
        Micros(latencies.percentile_ns(500)),
        Micros(latencies.percentile_ns(990)),
        Ratio(counts.requests, counts.kicks),
    );
}
