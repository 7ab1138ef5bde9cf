//! The result of the hardening.

use std::fmt;

/// One measure and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its purpose, in words for the host.
    pub name: &'static str,
    /// The protection that it achieved, or the reason why not.
    pub outcome: Result<String, String>,
}

/// The results of all measures. Displays as one line for the host that lists the achieved protections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening(pub(super) Vec<Measure>);

/// The host insists on the hardening, and a measure failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--require-hardening: {0}")]
pub struct Incomplete(String);

impl Hardening {
    /// Every measure, in the order in which they were taken.
    pub fn measures(&self) -> &[Measure] {
        &self.0
    }

    /// The measures that could not be taken, each with the reason.
    pub fn missing(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|measure| {
            let why = measure.outcome.as_ref().err()?;
            Some(format!("{}: {why}", measure.name))
        })
    }

    /// Succeeds only if every measure succeeded.
    ///
    /// # Errors
    /// At least one measure failed. The error names all of them.
    pub fn insist(&self) -> Result<(), Incomplete> {
        let missing: Vec<_> = self.missing().collect();
        if missing.is_empty() { Ok(()) } else { Err(Incomplete(missing.join("; "))) }
    }
}

impl fmt::Display for Hardening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached: Vec<_> = self.0.iter().filter_map(|measure| measure.outcome.as_deref().ok()).collect();
        write!(f, "Hardened: {}", if reached.is_empty() { "nothing".to_owned() } else { reached.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardening(outcomes: &[Result<&str, &str>]) -> Hardening {
        let measure = |outcome: &Result<&str, &str>| Measure {
            name: "a thing",
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        };
        Hardening(outcomes.iter().map(measure).collect())
    }

    #[test]
    fn says_what_was_reached_and_insists_on_the_rest() {
        let some = hardening(&[Ok("one"), Err("no kernel for it"), Ok("two")]);
        assert_eq!(some.to_string(), "Hardened: one, two");
        assert_eq!(some.insist().unwrap_err().to_string(), "--require-hardening: a thing: no kernel for it");
        assert_eq!(hardening(&[Ok("one")]).insist(), Ok(()));
        assert_eq!(hardening(&[Err("no")]).to_string(), "Hardened: nothing");
    }
}
