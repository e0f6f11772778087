//! `/`: a page that shows the figures, and asks for them again by itself.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
};

use super::{
    figures::{Figures, Machine},
    status::status,
};

const TEMPLATE: &str = include_str!("home.html");

/// The page, with the figures of this moment.
pub fn home(machine: &Machine, figures: &Figures) -> String {
    // The figures stand in the page as the script asks for them: a browser without one shows them
    // too.
    let text = status(machine, figures);
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(given, _)| *given == name)
            .map(|(_, value)| value)
    };
    let mut page = String::with_capacity(TEMPLATE.len() + 1024);
    let mut rest = TEMPLATE;
    while let Some((before, behind)) = rest.split_once("{{") {
        page += before;
        let (name, behind) = behind.split_once("}}").unwrap_or((behind, ""));
        page += &escape(&grouped(value(name).unwrap_or("-")));
        rest = behind;
    }
    page += rest;
    page
}

/// Puts a thin space between thousands.
fn grouped(value: &str) -> Cow<'_, str> {
    if value.len() <= 3 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(value);
    }
    let mut grouped = String::new();
    for (at, digit) in value.chars().enumerate() {
        if at > 0 && (value.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    Cow::Owned(grouped)
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|letter| match letter {
        '&' => "&amp;".to_string(),
        '<' => "&lt;".to_string(),
        '>' => "&gt;".to_string(),
        '"' => "&quot;".to_string(),
        letter => format!("{letter}"),
    });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let figures = Figures {
            signatures: 1_234_567,
            ..Figures::default()
        };
        let machine = Machine {
            sign: "device",
            key: "<RSA> & \"2048\"".to_string(),
            tls: "1.2",
            device: "one data queue".to_string(),
            cpus: 4,
        };
        home(&machine, &figures)
    }

    #[test]
    fn every_place_is_filled() {
        let page = page();
        assert!(!page.contains("{{") && !page.contains("}}"));
        assert!(page.contains("1\u{202f}234\u{202f}567"));
        assert!(page.contains("&lt;RSA&gt; &amp; &quot;2048&quot;") && !page.contains("<RSA>"));
    }

    #[test]
    fn every_place_is_one_that_status_names() {
        let text = status(&Machine::default(), &Figures::default());
        let names: std::vec::Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
        for part in TEMPLATE.split("{{").skip(1) {
            let name = part.split("}}").next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
        for part in TEMPLATE.split("data-figure=\"").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
    }
}
