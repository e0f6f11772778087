//! A certificate authority that is thrown away, and what it signs for one server.
//!
//! The rule: its own key is gone before the server runs, so nobody can sign a second one by it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    child,
    project::Project,
    report::{Result, fail},
};

/// What a server shows and what its clients believe.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The server's certificate, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PKCS#8 PEM.
    pub key: PathBuf,
    /// The authority's certificate; none where somebody else made the server's.
    pub authority: Option<PathBuf>,
}

impl Identity {
    /// Removes the key's file where the key was made here: QEMU has read it, and what ends this
    /// program may leave no time to do it then.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be removed.
    pub fn forget_key(&self) -> Result {
        match self.authority {
            Some(_) => Ok(fs::remove_file(&self.key)?),
            None => Ok(()),
        }
    }
}

/// A kind of key, as `openssl req` takes it.
pub const RSA: &str = "rsa:2048";
/// ECDSA over P-256.
pub const ECDSA: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// What the server's certificate is for.
const SERVER: &str = "basicConstraints=CA:FALSE\n\
    keyUsage=digitalSignature\n\
    extendedKeyUsage=serverAuth\n\
    subjectAltName=DNS:localhost,IP:127.0.0.1\n";

/// Makes an authority, and a certificate for `localhost` with a key of this kind.
///
/// # Errors
///
/// Fails with what openssl says.
pub fn make(project: &Project, folder: &Path, key_kind: &str) -> Result<Identity> {
    let openssl = |line: &str, paths: &[(&str, &Path)]| {
        let mut command = project.host("openssl");
        command.current_dir(folder);
        command.args(line.split_whitespace());
        for (option, path) in paths {
            command.arg(option).arg(path);
        }
        let ended = child::capture(&mut command)?;
        match ended.status {
            0 => Ok(()),
            _ => fail(format_args!("openssl {line}: {}", ended.output.trim_end())),
        }
    };
    let key = folder.join("server.key");
    let certificate = folder.join("server.pem");
    let authority = folder.join("ca.pem");
    let authority_key = folder.join("ca.key");
    openssl(
        "req -x509 -newkey rsa:2048 -sha256 -nodes -days 7 -subj /CN=virtio-crypto-throw-away \
         -addext keyUsage=critical,keyCertSign",
        &[("-keyout", &authority_key), ("-out", &authority)],
    )?;
    openssl(
        &format!("req -newkey {key_kind} -sha256 -nodes -subj /CN=localhost -out server.csr"),
        &[("-keyout", &key)],
    )?;
    fs::write(folder.join("server.ext"), SERVER)?;
    openssl(
        "x509 -req -sha256 -days 7 -in server.csr -extfile server.ext -CAcreateserial",
        &[
            ("-CA", &authority),
            ("-CAkey", &authority_key),
            ("-out", &certificate),
        ],
    )?;
    fs::remove_file(authority_key)?;
    Ok(Identity {
        certificate,
        key,
        authority: Some(authority),
    })
}
