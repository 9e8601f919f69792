//! Exit codes, and errors that say what happened, why, and what to type next.

use crate::target::quoted;
use openchat_client::{
    KeyringError, PlaceError, SessionError, VaultError, admin::AdminError, device::DeviceError,
    dial::DialError, enroll::EnrollError,
};
use openchat_wire::enroll::EnrollRefusal;
use std::io::ErrorKind;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok,
    Failure,
    Usage,
    NotEnrolled,
    Unreachable,
    Trust,
    Expired,
    NotFound,
    Queued,
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotEnrolled => 3,
            Self::Unreachable => 4,
            Self::Trust => 5,
            Self::Expired => 6,
            Self::NotFound => 7,
            Self::Queued => 8,
            Self::Interrupted => 130,
        }
    }
}

/// An error as a person or a script meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) exit: Exit,
    /// For scripts; listed in `docs/json.md`.
    pub(crate) code: &'static str,
    /// What happened, and why.
    pub(crate) message: String,
    /// What to do about it: the next command, where one helps.
    pub(crate) hint: String,
}

impl Fault {
    pub(crate) fn new(
        exit: Exit,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { exit, code, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message, hint)
    }

    /// What the engine refuses, by its code.
    pub(crate) fn of_event(code: &'static str, message: &str, hint: &str) -> Self {
        let exit = match code {
            "no-such-person" | "no-such-conversation" | "no-such-message" | "no-such-file" => {
                Exit::NotFound
            }
            "halted" | "uncertified" | "forged-prekey" | "not-the-same" => Exit::Trust,
            _ => Exit::Failure,
        };
        Self::new(exit, code, message, hint)
    }

    pub(crate) fn output(error: &std::io::Error) -> Self {
        let message = format!("the output can't be written: {error}");
        Self::new(Exit::Failure, "output", message, "openchat status")
    }
}

impl From<PlaceError> for Fault {
    fn from(error: PlaceError) -> Self {
        let hint = "set HOME, or OPENCHAT_HOME to the directory to use";
        Self::new(Exit::Failure, "no-place", error.to_string(), hint)
    }
}

/// Makes faults with hints that name the profile in use.
#[derive(Debug, Clone)]
pub(crate) struct Hints {
    /// `openchat`, with `-P NAME` where that is needed.
    program: String,
}

impl Hints {
    pub(crate) const fn new(program: String) -> Self {
        Self { program }
    }

    /// The command line `openchat ARGS` for this profile.
    pub(crate) fn command(&self, args: &str) -> String {
        format!("{} {args}", self.program)
    }

    pub(crate) fn not_enrolled(&self) -> Fault {
        let hint = self.command("enroll --name NAME --invite INVITATION");
        Fault::new(Exit::NotEnrolled, "not-enrolled", "this profile is not enrolled", hint)
    }

    /// Somebody else acts with this device's key: two that go on would use one secret twice.
    pub(crate) fn copied(&self, target: Option<&str>) -> Fault {
        let place = target.map_or(String::new(), |target| format!(" in {target}"));
        let message = format!("this program stops, because another one acted in your name{place}");
        let rejoin =
            target.map_or("status".to_owned(), |at| format!("group rejoin {}", quoted(at)));
        let hint = format!("stop the other copy of this profile; then: {}", self.command(&rejoin));
        Fault::new(Exit::Trust, "clone", message, hint)
    }

    pub(crate) fn vault(&self, error: &VaultError) -> Fault {
        let (code, hint) = match error {
            VaultError::InUse(_) => (
                "vault-in-use",
                "end the other openchat, or be somebody else: openchat -P NAME …".to_owned(),
            ),
            VaultError::Newer { .. } => ("vault-newer", "update openchat".to_owned()),
            VaultError::Older { .. } => (
                "vault-older",
                format!(
                    "begin anew, as the server has to: move the directory of `{}` away; then: {}",
                    self.command("whoami"),
                    self.command("enroll --name NAME --invite INVITATION")
                ),
            ),
            VaultError::Locked | VaultError::WrongPassphrase => {
                let hint = "on a terminal you are asked; a script says --passphrase-file FILE";
                ("vault-locked", hint.to_owned())
            }
            VaultError::NoKey(path) => {
                ("vault-key", format!("bring the file back: {}", path.display()))
            }
            VaultError::Keyring(error) => ("vault-keyring", self.keyring(error)),
            VaultError::Exists(_) => ("exists", "choose another file".to_owned()),
            VaultError::NoBackup(_) => {
                ("no-backup", self.command("import FILE --backup-passphrase-file FILE"))
            }
            VaultError::NotEmpty(_) => ("not-empty", "openchat -P NEW import FILE".to_owned()),
            VaultError::Broken(_) => (
                "vault-damaged",
                format!(
                    "nothing was changed; {} says how much; with a backup: openchat -P NEW import FILE",
                    self.command("vault check")
                ),
            ),
            VaultError::File { cause, .. } if cause.kind() == ErrorKind::NotFound => {
                ("vault", "check the path".to_owned())
            }
            VaultError::File { .. } => {
                ("vault", "check the permissions and the free space there".to_owned())
            }
            VaultError::Damaged(_) | VaultError::Database(_) => {
                ("vault", format!("check the free space; then: {}", self.command("status")))
            }
        };
        Fault::new(Exit::Failure, code, error.to_string(), hint)
    }

    fn keyring(&self, error: &KeyringError) -> String {
        match error {
            KeyringError::NoBus => format!(
                "while you are logged in: DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus; for what \
                 runs without you, on your desktop: {}",
                self.command("vault key-file")
            ),
            KeyringError::Locked => {
                "open it, or run this on a terminal of your desktop, where you are \
                                     asked to"
                    .to_owned()
            }
            KeyringError::Unreachable(_) | KeyringError::Fleeting => format!(
                "is GNOME Keyring, KWallet or KeePassXC running? without one: {}",
                self.command("vault passphrase")
            ),
            KeyringError::Gone => {
                "bring the keyring back; with a backup: openchat -P NEW import FILE".to_owned()
            }
        }
    }

    pub(crate) fn dial(&self, address: &str, error: &DialError) -> Fault {
        let what = error.to_string();
        let renew = || {
            self.command("enroll --name NAME --invite INVITATION")
                + " (the operator: openchat-server invite new NAME)"
        };
        let (exit, code, hint) = match error {
            DialError::Unreachable(_) => (
                Exit::Unreachable,
                "unreachable",
                "is it running there? the operator: openchat-server run".to_owned(),
            ),
            DialError::NotOpenchat => (
                Exit::Unreachable,
                "not-openchat",
                "is the address right? is openchat up to date?".to_owned(),
            ),
            DialError::AnotherCa { .. } => (
                Exit::Trust,
                "another-ca",
                format!(
                    "ask the operator, in person or on a call, whether the CA was replaced, for its \
                     pin and an invitation; if so: {}",
                    self.command("trust accept --ca PIN --invite INVITATION")
                ),
            ),
            DialError::ServerCertificate(_) => (
                Exit::Trust,
                "server-certificate",
                "ask the operator; the clock of this machine matters too: date".to_owned(),
            ),
            DialError::Expired => {
                let status = self.command("status");
                let clock = "is a clock wrong, here or at the server? see: date";
                (Exit::Expired, "expired", format!("{status}; {clock}; otherwise: {}", renew()))
            }
            DialError::Revoked => {
                (Exit::Expired, "revoked", "ask the operator why your access ended".to_owned())
            }
            DialError::Refused => (Exit::Trust, "refused", renew()),
            DialError::OwnIdentity(_) => (Exit::Failure, "vault", self.command("whoami")),
        };
        let message = match error {
            DialError::Unreachable(_) => format!("{address} can't be reached: {what}"),
            _ => format!("{address}: {what}"),
        };
        Fault::new(exit, code, message, hint)
    }

    pub(crate) fn device(&self, error: &DeviceError) -> Fault {
        let hint = self.command("enroll --name NAME --invite INVITATION");
        Fault::new(Exit::Failure, "vault", error.to_string(), hint)
    }

    pub(crate) fn session(&self, address: &str, error: &SessionError) -> Fault {
        match error {
            SessionError::Vault(error) => self.vault(error),
            SessionError::Device(error) => self.device(error),
            SessionError::Load(_) => {
                Fault::new(Exit::Failure, "vault", error.to_string(), "update openchat")
            }
            SessionError::Dial(error) => self.dial(address, error),
            SessionError::Front { cause, .. } => Fault::output(cause),
            SessionError::System(_) => {
                Fault::new(Exit::Failure, "system", error.to_string(), "ulimit -a")
            }
        }
    }

    pub(crate) fn admin(&self, error: &AdminError) -> Fault {
        let invite = format!(
            "{} (where the server runs: openchat-server invite new NAME)",
            self.command("enroll --name NAME --invite INVITATION")
        );
        let (exit, code, hint) = match error {
            AdminError::NoServer(_) => (Exit::Unreachable, "no-server", invite),
            AdminError::NotAllowed(_) => (Exit::Failure, "not-allowed", invite),
            AdminError::Refused(_) => (Exit::Failure, "no-invitation", invite),
            AdminError::Failed(_) => (Exit::Failure, "admin-socket", invite),
        };
        Fault::new(exit, code, error.to_string(), hint)
    }

    pub(crate) fn enroll(&self, error: &EnrollError, asked: &str) -> Fault {
        let (exit, code, hint) = match error {
            EnrollError::Vault(error) => return self.vault(error),
            EnrollError::Dial { address, cause } => {
                return self.dial(address, cause);
            }
            EnrollError::OtherName(_) => {
                (Exit::Failure, "other-name", format!("openchat -P {asked} enroll --name {asked}"))
            }
            EnrollError::OtherServer(_) => (
                Exit::Trust,
                "other-server",
                format!(
                    "openchat -P NEW enroll --name NAME --invite INVITATION; or, if the operator says \
                     that the CA of your server was replaced: {}",
                    self.command("trust accept --ca PIN --invite INVITATION")
                ),
            ),
            EnrollError::NotEnrolled => return self.not_enrolled(),
            EnrollError::Device(error) => return self.device(error),
            EnrollError::OtherPin { .. } => (
                Exit::Trust,
                "other-pin",
                "ask the operator for the pin and the invitation again; nothing was changed"
                    .to_owned(),
            ),
            EnrollError::Refused(refusal) => return self.refused(*refusal, error, asked),
            EnrollError::Untrusted(_) => {
                (Exit::Trust, "untrusted-answer", "ask the operator; nothing was stored".to_owned())
            }
            EnrollError::Address(_) => (
                Exit::Usage,
                "usage",
                format!("ask for a new one: openchat-server invite new {asked}"),
            ),
            EnrollError::Request(_) => (Exit::Failure, "request", self.command("status")),
        };
        Fault::new(exit, code, error.to_string(), hint)
    }

    fn refused(&self, refusal: EnrollRefusal, error: &EnrollError, asked: &str) -> Fault {
        let (code, hint) = match refusal {
            EnrollRefusal::Invitation => (
                "invitation",
                format!(
                    "used, expired, or for another name; ask for a new one: \
                     openchat-server invite new {asked}"
                ),
            ),
            EnrollRefusal::NameTaken => (
                "name-taken",
                format!(
                    "choose another: {}",
                    self.command("enroll --name NAME --invite INVITATION")
                ),
            ),
            EnrollRefusal::KeyTaken => {
                ("key-taken", "openchat -P NEW enroll --name NAME --invite INVITATION".to_owned())
            }
            EnrollRefusal::Csr => ("csr", "update openchat".to_owned()),
            EnrollRefusal::Internal => ("server", "its operator's trace says why".to_owned()),
            EnrollRefusal::Revoked => {
                ("revoked", format!("openchat -P NEW enroll --name {asked} --invite INVITATION"))
            }
        };
        let is_revoked = refusal == EnrollRefusal::Revoked;
        let exit = if is_revoked { Exit::Expired } else { Exit::Failure };
        Fault::new(exit, code, error.to_string(), hint)
    }
}
