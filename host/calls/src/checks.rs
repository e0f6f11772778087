//! Checks that other crates share.

#[expect(dead_code, reason = "some of it only the tests of the services need")]
#[path = "../../services/checks/oracle.rs"]
pub(crate) mod oracle;
