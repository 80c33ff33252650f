//! Taking a mechanism out of the protocol, to see that its absence is noticed.

use persist::Mechanism;

/// The variable that names the mechanism that children do without.
pub const VARIABLE: &str = "COLCA_WITHOUT";

/// The mechanisms whose absence must show, and in which rows.
pub const MECHANISMS: [(Mechanism, &str); 4] = [
    (Mechanism::CreateIfAbsent, "races"),
    (Mechanism::RollForward, "kills"),
    (Mechanism::ReadStaged, "kills"),
    (Mechanism::Digests, "kills"),
];

/// The mechanism that is absent.
pub fn mechanism() -> Option<Mechanism> {
    let name = std::env::var(VARIABLE).ok()?;
    MECHANISMS.into_iter().map(|(mechanism, _)| mechanism).find(|mechanism| format!("{mechanism:?}") == name)
}

/// Runs something to its end on this thread alone, with the protocol as the environment wants it.
pub fn on_this_thread<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = || runtime.block_on(future);
    match mechanism() {
        None => run(),
        Some(mechanism) => persist::without(mechanism, run),
    }
}
