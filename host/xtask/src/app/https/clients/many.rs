//! Clients in Python: one that keeps its connection, one that is slow, many at once.
//!
//! The rule: a script ends with the line that is expected, or with what was wrong.

use super::{
    polite::status_page,
    reach::{Clients, Verdict, expect},
};

/// Asks for what a script needs: a connection that keeps to this authority.
///
/// QEMU's user network lets one client wait to be accepted. Of more than that the host forgets who
/// asks, and who asks again by himself does so after seconds that double: `reach` does sooner.
const PYTHON: &str = "
import http.client, socket, ssl, sys, threading, time
port, authority = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=authority)
def reach():
    end = time.monotonic() + 20
    while True:
        try:
            plain = socket.create_connection(('127.0.0.1', port), timeout=0.5)
        except TimeoutError:
            if time.monotonic() > end: raise
            continue
        plain.settimeout(25)
        return plain
def connect():
    connection = http.client.HTTPSConnection('localhost', port)
    connection.sock = context.wrap_socket(reach(), server_hostname='localhost')
    return connection
";

pub fn keep_alive(clients: &Clients) -> Verdict {
    let script = PYTHON.to_owned()
        + "
connection, message = connect(), bytes(i % 251 for i in range(300000))
for turn in range(20):
    connection.request('GET', '/status')
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200 and b'signatures' in body, (turn, answer.status, body)
    if turn == 0:
        first = connection.sock
    assert connection.sock is first, 'the connection is another one'
connection.request('POST', '/sign', message)
answer = connection.getresponse()
assert answer.status == 200 and len(answer.read()) == 256, answer.status
connection.request('GET', '/bytes/300000')
answer = connection.getresponse()
assert answer.status == 200 and len(answer.read()) == 300000, answer.status
print('kept alive')
";
    let got = clients.python(0, &script, &[])?;
    expect(got.output.ends_with("kept alive\n"), "kept alive", &got)
}

/// Longer than the other side of a connection may be silent where something is owed to it.
pub fn idle(clients: &Clients) -> Verdict {
    let script = PYTHON.to_owned()
        + "
connection = connect()
for wait in 22, 0:
    connection.request('GET', '/status')
    answer = connection.getresponse()
    assert answer.status == 200 and b'signatures' in answer.read(), answer.status
    time.sleep(wait)
print('served')
";
    let got = clients.python(22, &script, &[])?;
    expect(got.output.ends_with("served\n"), "served", &got)
}

pub fn slow(clients: &Clients) -> Verdict {
    let script = PYTHON.to_owned()
        + "
connection = connect()
for byte in b'GET /status HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n':
    connection.sock.sendall(bytes([byte]))
    time.sleep(0.05)
answer = b''
while b'signatures' not in answer:
    more = connection.sock.recv(4096)
    assert more, answer
    answer += more
print('served')
";
    let got = clients.python(0, &script, &[])?;
    expect(got.output.ends_with("served\n"), "served", &got)?;
    status_page(clients)
}

/// Reads the beginning of a long answer. A process is left that keeps the connection for some
/// seconds, and reads no more.
pub fn reads_no_more(clients: &Clients) -> Verdict {
    let script = PYTHON.to_owned()
        + "
import os
connection = connect()
connection.request('GET', '/bytes/16000000')
assert len(connection.getresponse().read(1000)) == 1000
print('read some', flush=True)
if os.fork() == 0:
    # Nobody waits for what it prints.
    for file in range(3): os.close(file)
    time.sleep(10)
";
    let got = clients.python(0, &script, &[])?;
    expect(got.output.ends_with("read some\n"), "read some", &got)
}

/// So many clients shake hands at the same time, so often; each has to be served.
const AT_ONCE: &str = "
count, turns = int(sys.argv[3]), int(sys.argv[4])
barrier, failures = threading.Barrier(count), []
def client():
    try:
        barrier.wait()
        for turn in range(turns):
            connection = connect()
            connection.request('GET', '/status')
            answer = connection.getresponse()
            assert answer.status == 200 and b'signatures' in answer.read(), answer.status
            connection.close()
    except Exception as failure:
        failures.append(repr(failure))
threads = [threading.Thread(target=client) for _ in range(count)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('failed', len(failures), failures[:3])
";

/// Runs so many clients at once.
pub fn at_once(clients: &Clients, count: u32, turns: u32) -> Verdict {
    let script = PYTHON.to_owned() + AT_ONCE;
    let words = [count, turns].map(|it| it.to_string());
    // What all of them take is the host's pace.
    let got = clients.python(60, &script, &words.each_ref().map(String::as_str))?;
    expect(got.output.ends_with("failed 0 []\n"), "none fails", &got)
}

pub fn many_at_once(clients: &Clients) -> Verdict {
    at_once(clients, 64, 2)?;
    let most = clients.metric("https_signatures_in_flight_max")?;
    // More than the few clients of the checks before.
    if most <= f64::from(FEW) {
        return Err(format!(
            "expected: more than {FEW} signatures in flight\ngot: {most}"
        ));
    }
    Ok(())
}

const FEW: u32 = 8;

/// Few clients are enough for both CPUs to have work.
pub fn cpus_share(clients: &Clients) -> Verdict {
    at_once(clients, FEW, 4)?;
    let [all, least] = [
        "https_handshakes_total",
        "https_handshakes_of_least_cpu_total",
    ]
    .map(|name| clients.metric(name));
    let (all, least) = (all?, least?);
    if least < all / 8. {
        return Err(format!(
            "expected: an eighth of {all} handshakes at least on each of two CPUs\ngot: {least}"
        ));
    }
    Ok(())
}

/// So many clients shake hands for so long, without tickets; each handshake's microseconds are a
/// line. The time to connect is left out.
const HANDSHAKES: &str = "
count, seconds = int(sys.argv[3]), float(sys.argv[4])
barrier, latencies, failures = threading.Barrier(count + 1), [], []
def client():
    own = []
    barrier.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with reach() as plain:
                start = time.monotonic()
                with context.wrap_socket(plain, server_hostname='localhost'):
                    own.append(int(1e6 * (time.monotonic() - start)))
        except Exception as failure:
            failures.append(repr(failure))
    latencies.extend(own)
threads = [threading.Thread(target=client) for _ in range(count)]
for thread in threads: thread.start()
barrier.wait()
start = time.monotonic()
for thread in threads: thread.join()
assert not failures, failures[:3]
print('took', time.monotonic() - start)
print(*latencies, sep='\\n')
";

impl Clients<'_> {
    /// Lets so many clients shake hands for so many seconds; returns how long that took in all, and
    /// the microseconds of each handshake.
    ///
    /// # Errors
    ///
    /// Fails when one of them does.
    pub fn handshakes(&self, count: u32, seconds: u32) -> Result<(f64, Vec<u64>), String> {
        let script = PYTHON.to_owned() + HANDSHAKES;
        let got = self.python(
            seconds,
            &script,
            &[&count.to_string(), &seconds.to_string()],
        )?;
        let mut lines = got.output.lines();
        let took = lines.next().and_then(|line| line.strip_prefix("took "));
        match took.and_then(|took| took.parse().ok()) {
            Some(took) => Ok((took, lines.filter_map(|line| line.parse().ok()).collect())),
            None => Err(format!("expected: handshakes\ngot: {}", got.output)),
        }
    }
}
