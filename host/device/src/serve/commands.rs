//! Lines by which somebody outside tells a running device what to do.
//!
//! For the program: its standard input, and a socket for scripts. The one rule: each line has one
//! line as its answer.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::Path,
    process,
    sync::Arc,
    thread,
};

use super::remove_old;
use crate::function::{Command, Function};

/// The status of a process that was told to die.
const DIED: i32 = 3;

/// Obeys the lines of standard input, in a thread of its own. Their answers go to standard error.
pub fn read_lines(function: &Arc<Function>) {
    let function = function.clone();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            eprintln!("device: {}", obey(&function, &line));
        }
    });
}

/// Obeys the lines of whoever connects to a socket, in a thread of its own.
///
/// # Errors
///
/// Fails where there can be no such socket.
pub fn listen(function: &Arc<Function>, socket: &Path) -> io::Result<()> {
    remove_old(socket)?;
    let listener = UnixListener::bind(socket)?;
    let function = function.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            // One that hangs up, or says what is no text, is done.
            while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
                let answer = obey(&function, &line);
                if writeln!(&stream, "{answer}").is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    Ok(())
}

fn obey(function: &Function, line: &str) -> String {
    match line.parse() {
        Ok(Command::Die) => {
            eprintln!("device: dies, as it was told");
            process::exit(DIED);
        }
        Ok(command) => function.obey(command),
        Err(refusal) => refusal,
    }
}
