//! The measures on Linux.

use std::path::Path;

use landlock::{
    ABI, AccessFs, AccessNet, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use super::measure::Measure;
use super::system_calls;
use crate::secret::locked;

/// The newest version of Landlock all of whose rights a server can give up. Older kernels enforce the rights that they
/// know.
const LANDLOCK: ABI = ABI::V6;

pub(super) fn measures(sockets: Option<&Path>) -> Vec<Measure> {
    let measure = |name, outcome| Measure { name, outcome };
    vec![
        measure("memory dumps and debuggers", undumpable()),
        measure("core files", no_core_files()),
        measure("swap", lock_memory()),
        measure("new privileges", no_new_privileges()),
        measure("files and outgoing connections", confine(sockets)),
        measure("system calls", system_calls::filter(sockets.is_some())),
    ]
}

pub(super) fn conceal() {
    // The user of a client cannot change a system that lacks them.
    let _ = undumpable();
    let _ = no_core_files();
}

/// No core dump, no debugger of the same user, and `/proc/PID/mem` for root alone (`PR_SET_DUMPABLE`).
fn undumpable() -> Result<String, String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string())?;
    Ok("no memory dumps".to_owned())
}

fn no_core_files() -> Result<String, String> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(|error| error.to_string())?;
    Ok("no core files".to_owned())
}

/// All memory, where the limit lets it: a process that reaches the limit later could not go on. Else the pages of keys
/// and tokens.
fn lock_memory() -> Result<String, String> {
    let boundless = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, boundless).is_ok() || getrlimit(Resource::Memlock).current.is_none() {
        let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        if mlockall(all).is_ok() {
            return Ok("all memory locked".to_owned());
        }
    }
    if locked::works() {
        Ok("keys and tokens on locked pages".to_owned())
    } else {
        Err("the process may not lock memory; raise LimitMEMLOCK (ulimit -l)".to_owned())
    }
}

fn no_new_privileges() -> Result<String, String> {
    rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
    Ok("no new privileges".to_owned())
}

/// No file can be opened, made, changed or removed, and nothing connected to or bound over TCP. Signals reach this
/// process alone.
fn confine(sockets: Option<&Path>) -> Result<String, String> {
    let status = restrict(sockets).map_err(|error| error.to_string())?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        return Err("this kernel has no Landlock, or it is switched off".to_owned());
    };
    match status.ruleset {
        RulesetStatus::NotEnforced => Err("Landlock enforces nothing".to_owned()),
        RulesetStatus::PartiallyEnforced if effective_abi < ABI::V4 => {
            Err(format!("Landlock ABI {effective_abi} blocks files, but not connections"))
        }
        _ => Ok(format!("no files and no outgoing connections (Landlock ABI {effective_abi})")),
    }
}

fn restrict(sockets: Option<&Path>) -> Result<landlock::RestrictionStatus, Box<dyn std::error::Error>> {
    use landlock::Access;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::Signal)?
        .create()?;
    if let Some(folder) = sockets {
        // A socket is made under another name and put in the place of the one before.
        let folder = PathFd::new(folder)?;
        rules = rules.add_rule(PathBeneath::new(folder, AccessFs::MakeSock | AccessFs::RemoveFile))?;
    }
    Ok(rules.restrict_self()?)
}
