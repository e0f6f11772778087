//! HASH, MAC, AEAD and chains, by requests made by hand: each number of the specification is
//! tried, whatever the device advertises.

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::Services;

use crate::{
    answers::{
        aeads::AEADS,
        bytes,
        chains::DIGESTS,
        digests::{HASHES, MACS},
    },
    facts::akcipher,
    report::{
        Algorithm, Report,
        outcome::{Outcome, Works, compare, refused},
    },
    requests::{catalog, config::Config, ids::Session, known::Given, raw::Raw},
};

/// Opens a session, lets `ask` use it, and ends it.
fn in_session(
    raw: &mut Raw,
    words: &[(usize, u32)],
    key: &[u8],
    ask: impl FnOnce(&mut Raw, Session) -> Outcome,
) -> Outcome {
    let session = match raw.create(words, key) {
        Ok(session) => session,
        Err(trouble) => return refused("create", trouble),
    };
    let mut outcome = ask(raw, session);
    if raw.is_of_this_life(session)
        && let Err(trouble) = raw.destroy(session)
    {
        outcome.1 += &format!(" destroy: {trouble}");
    }
    outcome
}

fn no_answer(_: &mut Raw, _: Session) -> Outcome {
    (Works::Untried, String::from("opens; no known answer here"))
}

pub fn try_all(raw: &mut Raw, config: &Config, report: &mut Report) {
    hashes(raw, config, report);
    macs(raw, config, report);
    aeads(raw, config, report);
    chains(raw, config, report);
    akcipher::try_all(raw, config, report);
}

fn hashes(raw: &mut Raw, config: &Config, report: &mut Report) {
    for (algorithm, answer) in HASHES {
        let (number, answer) = (*algorithm as u32, bytes(answer));
        let len = answer.len();
        raw.step = format!("HASH {algorithm:?}");
        let words = [(0, 0x102), (4, number), (16, number), (20, len as u32)];
        let (works, note) = in_session(raw, &words, &[], |raw, id| {
            let words = [(4, number), (24, 3), (28, len as u32)];
            match raw.data(0x100, id, &words, &[b"abc"], len) {
                Ok((result, _)) => compare(&result, &answer),
                Err(trouble) => refused("hash", trouble),
            }
        });
        report.algorithm(Algorithm {
            service: "HASH",
            algorithm: format!("{algorithm:?}"),
            key_bits: 0,
            advertised: config.advertises(Services::HASH, number),
            works,
            note,
        });
    }
}

fn macs(raw: &mut Raw, config: &Config, report: &mut Report) {
    let message: Vec<u8> = (0..24).collect();
    for (algorithm, [key, answer]) in MACS {
        let number = *algorithm as u32;
        let (key, answer) = (bytes(key), bytes(answer));
        let len = algorithm.result_len_bytes();
        raw.step = format!("MAC {algorithm:?}");
        let (key_len, len_word) = (key.len() as u32, len as u32);
        let words = [
            (0, 0x202),
            (4, number),
            (16, number),
            (20, len_word),
            (24, key_len),
        ];
        let (works, note) = in_session(raw, &words, &key, |raw, id| {
            if answer.is_empty() {
                return no_answer(raw, id);
            }
            let words = [(4, number), (24, 24), (28, len_word)];
            match raw.data(0x200, id, &words, &[&message], len) {
                Ok((result, _)) => compare(&result, &answer),
                Err(trouble) => refused("mac", trouble),
            }
        });
        report.algorithm(Algorithm {
            service: "MAC",
            algorithm: format!("{algorithm:?}"),
            key_bits: key.len() * 8,
            advertised: config.advertises(Services::MAC, number),
            works,
            note,
        });
    }
}

fn aeads(raw: &mut Raw, config: &Config, report: &mut Report) {
    for (algorithm, texts) in AEADS {
        let number = *algorithm as u32;
        let [key, iv, aad, plain, sealed] = texts.map(bytes);
        raw.step = format!("AEAD {algorithm:?}");
        let key_len = key.len() as u32;
        let words = |direction| {
            let sizes = [
                (20, key_len),
                (24, 16),
                (28, aad.len() as u32),
                (32, direction),
            ];
            [&[(0, 0x302), (4, number), (16, number)][..], &sizes].concat()
        };
        let crypt = |raw: &mut Raw, opcode, id, from: &[u8], to: &[u8]| {
            let lens = [iv.len(), aad.len(), from.len(), to.len(), 16];
            let mut words = Vec::from([(4, number)]);
            words.extend((0..).zip(lens).map(|(at, len)| (24 + 4 * at, len as u32)));
            match raw.data(opcode, id, &words, &[&iv, from, &aad], to.len()) {
                Ok((result, _)) => compare(&result, to),
                Err(trouble) => refused("aead", trouble),
            }
        };
        let mut outcome = in_session(raw, &words(1), &key, |raw, id| {
            crypt(raw, 0x300, id, &plain, &sealed)
        });
        if outcome.0 == Works::Yes {
            outcome = in_session(raw, &words(2), &key, |raw, id| {
                crypt(raw, 0x301, id, &sealed, &plain)
            });
        }
        report.algorithm(Algorithm {
            service: "AEAD",
            algorithm: format!("{algorithm:?}"),
            key_bits: key.len() * 8,
            advertised: config.advertises(Services::AEAD, number),
            works: outcome.0,
            note: outcome.1,
        });
    }
}

/// AES-128-CBC with each hash in each mode: both orders, both directions.
fn chains(raw: &mut Raw, config: &Config, report: &mut Report) {
    const AES_CBC: u32 = 3;
    let all = (1..=3).flat_map(catalog::chains).collect::<Vec<_>>();
    for digests in DIGESTS {
        for (mode, name) in (1..).zip(["", "Hmac", "Nested"]) {
            raw.step = format!("chain {name}{}", digests.name);
            let prefix = format!("{} mode {mode} ", digests.name);
            let own = all.iter().filter(|known| known.name.starts_with(&prefix));
            let mut outcome = (Works::Yes, String::from("both orders, both directions"));
            for known in own {
                let other = match known.ask(raw) {
                    Given::Right => continue,
                    Given::Wrong => (Works::Wrong, format!("{}: another answer", known.name)),
                    Given::Refused(trouble) => refused("create", trouble),
                    Given::Failed(trouble) => refused("request", trouble),
                };
                outcome = other;
                break;
            }
            let service = if mode == 2 {
                Services::MAC
            } else {
                Services::HASH
            };
            report.algorithm(Algorithm {
                service: "CHAIN",
                algorithm: format!("AesCbc+{name}{}", digests.name),
                key_bits: 128,
                advertised: config.advertises(Services::CIPHER, AES_CBC)
                    && config.advertises(service, digests.number),
                works: outcome.0,
                note: outcome.1,
            });
        }
    }
}
