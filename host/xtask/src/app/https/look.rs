//! The page as a browser shows it, at the widths of a telephone and of a desk.
//!
//! For `./run.sh app https look=FOLDER`. The rule: the browser believes this server's key and no
//! other, and reaches nothing else.

use std::{fs, path::Path, thread, time::Duration};

use super::trial::{Given, Trial};
use crate::{
    app::program::{Profile, Program},
    child,
    files::program,
    project::Project,
    report::{Result, fail, say},
};

const WIDTHS: [(u32, u32); 2] = [(400, 1400), (1280, 1000)];
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// So that nothing but the page is asked for.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
];
/// How long the page may go on, so that its figures have changed.
const BUDGET: &str = "--virtual-time-budget=5000";
/// Who is served meanwhile, and for how long: from before the first picture to after the last.
const CLIENTS: u32 = 8;
const SECONDS: u32 = 20;
/// So that there is something to look at.
const BEFORE: Duration = Duration::from_secs(4);

/// Starts a server, gives it some work, and renders its page into the folder.
///
/// # Errors
///
/// Fails without a browser, or where it renders nothing.
pub fn run(project: &Project, folder: &Path, machine: &str, words: &str) -> Result {
    let Some(browser) = BROWSERS.into_iter().find_map(program) else {
        return fail("app https: no browser to look with: 'apt-get install chromium' gets one");
    };
    fs::create_dir_all(folder)?;
    let built = Program::build(project, "https", Profile::Use)?;
    let trial = Trial::start(project, &built, Given::new(project, machine, words))?;
    let key = trial.key_hash()?;
    thread::scope(|scope| {
        let clients = trial.clients();
        let served = scope.spawn(move || clients.handshakes(CLIENTS, SECONDS));
        thread::sleep(BEFORE);
        let rendered = render(project, &browser, folder, &trial, &key);
        match served.join() {
            Ok(Ok(_)) => rendered,
            Ok(Err(reason)) => fail(reason),
            Err(_) => fail("the clients' thread panicked"),
        }
    })?;
    trial.power_down().map(drop)
}

/// Renders the page at each width, with a browser that believes this key.
fn render(project: &Project, browser: &Path, folder: &Path, trial: &Trial, key: &str) -> Result {
    for (width, height) in WIDTHS {
        let picture = folder.join(format!("https-{width}.png"));
        let mut command = project.host("timeout");
        command.arg("60").arg(browser).args(QUIET).arg(BUDGET);
        command.arg(format!("--ignore-certificate-errors-spki-list={key}"));
        command.arg(format!(
            "--user-data-dir={}",
            trial.file("browser").display()
        ));
        command.arg(format!("--window-size={width},{height}"));
        command.arg(format!("--screenshot={}", picture.display()));
        let ended = child::capture(command.arg(trial.clients().url("/")))?;
        if !picture.is_file() {
            return fail(format_args!("{}: {}", browser.display(), ended.output));
        }
        say(format_args!("https: rendered {}", picture.display()));
    }
    Ok(())
}
