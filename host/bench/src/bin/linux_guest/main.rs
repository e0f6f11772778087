//! Measures Linux's own driver, or checks its answers, from user space: the first process of a
//! Debian kernel in the same QEMU with the same device.
//!
//! Loads the modules that lie in `/modules`, then does what the words on the kernel's command line
//! say, prints the lines that the unikernel's benchmarks print, with `impl=linux`, and switches the
//! machine off. Ciphers go through AF_ALG: a *setkey* on `virtio_crypto_aes_cbc` is four control
//! requests, since the driver ends the two sessions that it had and makes two new ones. RSA goes
//! through keyctl(2): each operation is five requests, a session made and ended to learn what the
//! key can do, and another made, used and ended.

mod answers;
mod linux;

use std::{
    fs,
    os::fd::OwnedFd,
    sync::{
        Barrier, LazyLock,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use keyutils_raw::{KeyringSerial, add_key, keyctl_pkey_decrypt, keyctl_pkey_encrypt};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        socket::{setsockopt, sockopt::AlgSetKey},
    },
};

use linux::{
    ENCRYPT, Outcome, PKCS1, PROCESS_KEYRING, RSA_ENCRYPTED, RSA_KEY, RSA_MESSAGE,
    device_interrupts, open, process,
};

const KEY: [u8; 16] = [7; 16];
const IV: [u8; 16] = [1; 16];
/// Control requests of a *setkey*, but for a socket's first.
const REQUESTS_A_SETKEY: u64 = 4;
const WARM_UP: Duration = Duration::from_millis(200);

/// Tells whoever watches the console that the measured time begins or ends, and what time it is
/// here.
fn mark(what: &str) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    println!("measure: {what} at_ns={}", START.elapsed().as_nanos());
}

fn main() {
    let outcome = run();
    match outcome {
        Ok(()) => println!("bench: pass"),
        Err(error) => println!("failed: {error}"),
    }
    // The machine is off, or the kernel panics, which QEMU's time limit ends.
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn run() -> Outcome<()> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys")] {
        fs::create_dir_all(place)?;
        mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        )?;
    }
    load_modules()?;
    let words = fs::read_to_string("/proc/cmdline")?;
    let numbers = |key: &str, default: &str| -> Outcome<Vec<u64>> {
        let mut words = words
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        let text = words.find(|(k, _)| *k == key).map_or(default, |(_, v)| v);
        text.split(',').map(|number| Ok(number.parse()?)).collect()
    };
    if words.split_whitespace().any(|word| word == "answers") {
        return answers::check();
    }
    let duration = Duration::from_millis(numbers("ms", "1000")?[0]);
    // Linux's own parameter: its idle CPUs look for something to do, and never sleep.
    let polls = words.split_whitespace().any(|word| word == "idle=poll");
    let idle = if polls { "poll" } else { "halt" };
    if words
        .split_whitespace()
        .any(|word| word == "count=instructions")
    {
        return instructions(duration);
    }
    if numbers("key_bits", "0")?[0] == 2048 {
        for &workers in &numbers("workers", "1,8")? {
            rsa(workers, idle, duration)?;
        }
        return Ok(());
    }
    let sizes = numbers("size", "0")?;
    for size in sizes {
        for &workers in &numbers("workers", "1,8")? {
            match size {
                0 => control_sessions(workers, idle, duration)?,
                _ => aes_cbc(size, workers, idle, duration)?,
            }
        }
    }
    Ok(())
}

/// Loads every module of `/modules`, whatever order they want.
fn load_modules() -> Outcome<()> {
    let mut left: Vec<_> = fs::read_dir("/modules")?.collect::<Result<_, _>>()?;
    while !left.is_empty() {
        let before = left.len();
        let mut why = None;
        left.retain(|module| {
            let loaded = fs::File::open(module.path())
                .map_err(|_| Errno::ENOENT)
                .and_then(|file| finit_module(&file, c"", ModuleInitFlags::empty()));
            why = loaded.err().or(why);
            !matches!(loaded, Ok(()) | Err(Errno::EEXIST))
        });
        if left.len() == before {
            let names: Vec<_> = left.iter().map(|module| module.file_name()).collect();
            return Err(format!("modules {names:?}: {why:?}").into());
        }
    }
    Ok(())
}

/// Encrypts `data` in place, through the kernel's copies.
fn encrypt(request: &OwnedFd, data: &mut [u8]) -> Outcome<()> {
    process(request, ENCRYPT, &IV, data)
}

/// What a time of work came to.
struct Measured {
    count: u64,
    rate: u64,
    p50: Duration,
    cpu_percent: u64,
    interrupts: u64,
}

/// Workers warm up, are counted, stop.
const COUNTED: u8 = 1;
const STOP: u8 = 2;

/// Lets `workers` threads do what `prepare` gives each, again and again.
fn measure<P, W>(workers: u64, duration: Duration, prepare: P) -> Outcome<Measured>
where
    P: Fn() -> Outcome<W> + Sync,
    W: FnMut() -> Outcome<()>,
{
    let phase = AtomicU8::new(0);
    let ready = Barrier::new(workers as usize + 1);
    thread::scope(|scope| {
        let worker = || -> Outcome<Vec<Duration>> {
            let work = prepare();
            ready.wait();
            let mut work = work?;
            let mut latencies = Vec::new();
            loop {
                let phase = phase.load(Ordering::Relaxed);
                if phase == STOP {
                    return Ok(latencies);
                }
                let start = Instant::now();
                work()?;
                if phase == COUNTED {
                    latencies.push(start.elapsed());
                }
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        ready.wait();
        thread::sleep(WARM_UP);
        mark("begin");
        let (start, idle, interrupts) = (Instant::now(), idle_time()?, device_interrupts()?);
        phase.store(COUNTED, Ordering::Relaxed);
        thread::sleep(duration);
        phase.store(STOP, Ordering::Relaxed);
        let elapsed = start.elapsed().as_secs_f64();
        let idle = idle_time()?.saturating_sub(idle).as_secs_f64();
        let interrupts = device_interrupts()? - interrupts;
        mark("end");
        let mut latencies = Vec::new();
        for thread in threads {
            let own = thread.join().map_err(|_| "a worker panicked")??;
            latencies.extend(own);
        }
        latencies.sort_unstable();
        let count = latencies.len() as u64;
        if count == 0 || interrupts == 0 {
            return Err(
                format!("{count} operations, {interrupts} interrupts of the device").into(),
            );
        }
        Ok(Measured {
            count,
            rate: (count as f64 / elapsed) as u64,
            p50: latencies[latencies.len() / 2],
            cpu_percent: ((vcpus() as f64 * elapsed - idle).max(0.) * 100. / elapsed) as u64,
            interrupts,
        })
    })
}

fn vcpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The time that all CPUs together have been idle (proc_stat(5), fields 4 and 5 behind `cpu`).
fn idle_time() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().unwrap_or("").split_whitespace();
    let ticks: u64 = fields.skip(4).take(2).flat_map(str::parse::<u64>).sum();
    Ok(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second(),
    ))
}

/// Counts guest instructions: under `-icount shift=0` one takes a nanosecond of every clock, and
/// with one CPU that is always busy all of them are the requests'.
fn instructions(duration: Duration) -> Outcome<()> {
    let report = |name, measured: &Measured, requests: u64| {
        println!(
            "bench: name={name} impl=linux ioeventfd=off requests={} instructions_per_request={} \
             interrupts_per_request={:.2}",
            measured.count * requests,
            1_000_000_000 / (measured.rate * requests).max(1),
            measured.interrupts as f64 / (measured.count * requests) as f64,
        );
    };
    let setkeys = measure_setkeys(1, duration)?;
    report("control-request", &setkeys, REQUESTS_A_SETKEY);
    report("aes-128-cbc-16-bytes", &measure_aes(16, 1, duration)?, 1);
    Ok(())
}

fn measure_setkeys(workers: u64, duration: Duration) -> Outcome<Measured> {
    measure(workers, duration, || {
        let socket = open(&KEY)?;
        Ok(move || Ok(setsockopt(&socket, AlgSetKey::default(), &KEY.as_slice())?))
    })
}

fn measure_aes(size: u64, workers: u64, duration: Duration) -> Outcome<Measured> {
    measure(workers, duration, || {
        let socket = open(&KEY)?;
        let request = rustix::net::accept(&socket)?;
        let mut data = vec![0; size as usize];
        Ok(move || {
            let _keyed = &socket;
            encrypt(&request, &mut data)
        })
    })
}

fn control_sessions(workers: u64, idle: &str, duration: Duration) -> Outcome<()> {
    let measured = measure_setkeys(workers, duration)?;
    println!(
        "bench: name=control-sessions impl=linux mode=wait workers={workers} vcpus={} \
         idle={idle} ops_per_s={} guest_cpu_percent={} interrupts_per_op={:.2}",
        vcpus(),
        measured.rate * REQUESTS_A_SETKEY,
        measured.cpu_percent,
        measured.interrupts as f64 / (measured.count * REQUESTS_A_SETKEY) as f64,
    );
    Ok(())
}

fn aes_cbc(size: u64, workers: u64, idle: &str, duration: Duration) -> Outcome<()> {
    let measured = measure_aes(size, workers, duration)?;
    println!(
        "bench: name=aes-cbc impl=linux key_bits=128 size={size} workers={workers} depth=1 \
         vcpus={} idle={idle} requests_per_s={} mb_per_s={:.2} guest_cpu_percent={} p50_us={:.2} \
         interrupts_per_request={:.2}",
        vcpus(),
        measured.rate,
        (measured.rate * size) as f64 / 1e6,
        measured.cpu_percent,
        measured.p50.as_secs_f64() * 1e6,
        measured.interrupts as f64 / measured.count as f64,
    );
    Ok(())
}

/// Encrypts and decrypts with an RSA key of 2048 bits.
fn rsa(workers: u64, idle: &str, duration: Duration) -> Outcome<()> {
    let crypto = fs::read_to_string("/proc/crypto")?;
    if !crypto.contains("virtio-pkcs1-rsa") {
        return Err("Linux's driver has no RSA here".into());
    }
    let keyring = KeyringSerial::new(PROCESS_KEYRING).ok_or("no keyring")?;
    let key = add_key("asymmetric", "rsa", RSA_KEY, keyring).map_err(|error| error.to_string())?;
    let encrypts = measure(workers, duration, || {
        let mut result = [0; 256];
        Ok(move || {
            let done = keyctl_pkey_encrypt(key, PKCS1, RSA_MESSAGE, result[..].as_mut().into());
            done.map(drop)
                .map_err(|error| format!("encrypt: {error}").into())
        })
    })?;
    report_rsa("rsa-2048-encrypt", workers, idle, &encrypts);
    let decrypts = measure(workers, duration, || {
        let mut result = [0; 256];
        Ok(move || {
            let done = keyctl_pkey_decrypt(key, PKCS1, RSA_ENCRYPTED, result[..].as_mut().into());
            match done.map_err(|error| format!("decrypt: {error}"))? {
                len if result.get(..len) == Some(RSA_MESSAGE) => Ok(()),
                len => Err(format!("decrypt: {len} other bytes").into()),
            }
        })
    })?;
    report_rsa("rsa-2048-decrypt", workers, idle, &decrypts);
    Ok(())
}

fn report_rsa(name: &str, workers: u64, idle: &str, measured: &Measured) {
    println!(
        "bench: name={name} impl=linux workers={workers} vcpus={} idle={idle} requests_per_s={} \
         guest_cpu_percent={} p50_us={:.2} interrupts_per_request={:.2}",
        vcpus(),
        measured.rate,
        measured.cpu_percent,
        measured.p50.as_secs_f64() * 1e6,
        measured.interrupts as f64 / measured.count as f64,
    );
}
