//! The commands and their arguments, from which help, completions and manual pages are made too.

use crate::config::MetricsAddress;
use clap::{Args, Parser, Subcommand, ValueEnum};
use openchat_pki::HostName;
use openchat_wire::Name;
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

/// The openchat server: the certificate authority of its members and the relay between them,
/// which can't read what they say.
#[derive(Debug, Parser)]
#[command(name = "openchat-server", version, propagate_version = true)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 4 the server does not run, \
                        7 not found, 78 its data directory or configuration is not in order, \
                        130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that stand before or after the subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: config.toml in the data directory; without --data first
    /// /etc/openchat-server/config.toml]
    #[arg(short, long, global = true, env = "OPENCHAT_SERVER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the CA, the database and the admin socket
    /// [default: ~/.local/share/openchat-server]
    #[arg(long, global = true, env = "OPENCHAT_SERVER_HOME", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Trace more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Trace errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print one JSON object a line on stdout, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Never ask anything: the CA's passphrase has to come from elsewhere. Without a terminal nothing
    /// is asked either
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the certificate authority and the server's keys; never overwrites
    InitCa(InitCaArgs),
    /// Run the server until it is told to stop.
    ///
    /// SIGHUP reloads the certificate and what of the configuration can change while it runs;
    /// SIGTERM and Ctrl-C stop it after everything accepted is stored.
    Run(RunArgs),
    /// Invite people to the server
    #[command(subcommand)]
    Invite(InviteCommand),
    /// See who is registered; take people's keys away
    #[command(subcommand)]
    User(UserCommand),
    /// See which certificates were issued
    #[command(subcommand)]
    Cert(CertCommand),
    /// Look at the certificate authority, and change its key
    #[command(subcommand)]
    Ca(CaCommand),
    /// Check and export the transparency log, also while the server runs
    #[command(subcommand)]
    Log(LogCommand),
    /// Tell how the running server does
    Status,
    /// Check the running server; exit code 1 if something is wrong with it
    Health,
    /// Check, show or begin a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Copy everything that a restore needs into a new directory, also while the server runs.
    ///
    /// The copy is consistent and is checked before it is called done. It holds the CA's key:
    /// keep it encrypted, and off this machine.
    Backup(BackupArgs),
    /// Put a backup into an empty data directory
    Restore(RestoreArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page (for `man -l -`), or write one for every command into a directory
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitCaArgs {
    /// Name of the organisation, shown in the CA's certificate
    #[arg(long, default_value = "openchat", value_name = "NAME")]
    pub(crate) org: String,
    /// Name or address under which clients reach the server, beside those it finds by itself;
    /// the first one goes into invitations. May be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<HostName>,
    /// How long the CA's certificate is valid, as 3650d or 10y [default: 10 years]
    #[arg(long, value_name = "TIME")]
    pub(crate) ca_validity: Option<Days>,
    /// How long members' and the server's certificates are valid, as 90d [default: 90 days]
    #[arg(long, value_name = "TIME")]
    pub(crate) leaf_validity: Option<Days>,
    /// Put the CA's key under the passphrase in the first line of this file; `-` for stdin, or to
    /// be asked on a terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Take the CA's certificates from a root that is kept elsewhere: makes a request for it
    #[arg(long, conflicts_with = "ca_validity")]
    pub(crate) below_root: bool,
}

/// A number of whole days, as `90d`, `10y` or `90`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days(pub(crate) u32);

/// A text that is no number of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time in days or years, such as 90d or 10y")]
pub(crate) struct DaysError;

impl std::str::FromStr for Days {
    type Err = DaysError;

    fn from_str(text: &str) -> Result<Self, DaysError> {
        let (number, days) = match text.strip_suffix('y') {
            Some(years) => (years, 365),
            None => (text.strip_suffix('d').unwrap_or(text), 1),
        };
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u32>().ok().filter(|_| plain).ok_or(DaysError)?;
        number.checked_mul(days).map(Self).ok_or(DaysError)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

/// What the configuration file and the environment say too, and the command line last.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SettingArgs {
    /// Address and port to listen on; port 0 takes a free one [default: [::]:7443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Further name or address for the server's certificate, beside those of `init-ca`.
    /// May be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<HostName>,
    /// Form of the trace on stderr [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Where Prometheus may read figures over HTTP, or `off` [default: off]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics_listen: Option<MetricsAddress>,
    /// Let other machines read the figures: they are neither encrypted nor protected
    #[arg(long)]
    pub(crate) metrics_remote: bool,
    /// File with the passphrase of the CA's key in its first line, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Form of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// Print a new invitation: one use, 24 hours, for one name.
    ///
    /// Stdout gets the invitation and nothing else; with --qr the same as a QR code below it.
    New(InviteNewArgs),
    /// List the invitations of the last time, without their secrets
    List(InviteListArgs),
    /// Make invitations worthless that nobody has used yet
    Revoke(InviteRevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InviteNewArgs {
    /// Who is invited: a-z first, then a-z, 0-9 or '-', at most 32 characters
    pub(crate) name: Name,
    /// Draw it as a QR code too
    #[arg(long)]
    pub(crate) qr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InviteListArgs {
    /// Those too that are used, expired or locked
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct InviteRevokeArgs {
    /// Id of the invitation, as `invite list` shows it; its first characters will do
    #[arg(value_name = "ID")]
    pub(crate) id: Option<InvitationId>,
    /// All open ones for this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,
}

/// The beginning of an invitation's id, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvitationId(pub(crate) String);

/// A text that is not the beginning of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an invitation's id: 4 to 32 hex digits, as `openchat-server invite list` shows")]
pub(crate) struct InvitationIdError;

impl std::str::FromStr for InvitationId {
    type Err = InvitationIdError;

    fn from_str(text: &str) -> Result<Self, InvitationIdError> {
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = (4..=32).contains(&text.len());
        (hex && fits).then(|| Self(text.to_ascii_lowercase())).ok_or(InvitationIdError)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List everybody who is registered
    List,
    /// Show one person: key, certificates, connections
    Show(UserShowArgs),
    /// Take somebody's key away for ever: whoever leaves, or whose device was stolen.
    ///
    /// Connections of the key end at once, and it is refused from then on. The revocation is an
    /// entry of the transparency log; each group's members read it there and remove the key by
    /// themselves. The name stays taken until it is reset.
    Revoke(UserRevokeArgs),
    /// Let a name have another key, for somebody who lost the one before; prints an invitation.
    ///
    /// The key before is revoked, as `user revoke` does. Stdout gets the invitation and nothing
    /// else. Contacts see CHANGED, and groups let the new key in by invitation.
    Reset(UserResetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UserRevokeArgs {
    /// Whose
    pub(crate) name: Name,
    /// Do it without asking. Without a terminal, nothing is asked anyway
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserResetArgs {
    /// Whose
    pub(crate) name: Name,
    /// Do it without asking. Without a terminal, nothing is asked anyway
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserShowArgs {
    /// Whose
    pub(crate) name: Name,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// List all certificates that were issued, as the transparency log has them
    List(CertListArgs),
    /// Show a certificate
    Show(CertShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CertListArgs {
    /// Of this person only
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<Name>,
}

#[derive(Debug, Args)]
pub(crate) struct CertShowArgs {
    #[command(flatten)]
    pub(crate) which: WhichCert,
    /// Print the certificate itself, as PEM, and nothing else
    #[arg(long)]
    pub(crate) pem: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichCert {
    /// The newest one of this person
    pub(crate) name: Option<Name>,
    /// The authority's own
    #[arg(long)]
    pub(crate) ca: bool,
    /// The one that the server shows to clients
    #[arg(long)]
    pub(crate) server: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Tell how the authority stands: its pins, its end, how its key is kept
    Status,
    /// Give the authority another key, which devices follow by themselves.
    ///
    /// The old key certifies the new one and the transparency log says so; certificates of members
    /// count until they end. The server must not run meanwhile.
    Rotate(CaRotateArgs),
    /// Add, change or remove the passphrase of the authority's key
    Passphrase(CaPassphraseArgs),
    /// Print a request for the root, which certifies this server's authority
    Request(CaRequestArgs),
    /// Take the certificates that the root has made for that request
    Install(CaInstallArgs),
    /// Keep a root away from the server; on the machine that has its key
    #[command(subcommand)]
    Root(CaRootCommand),
}

#[derive(Debug, Args)]
pub(crate) struct CaRotateArgs {
    /// The old key is lost or stolen: nothing is believed that it signs, nobody follows unasked, and
    /// everybody has to enroll again with the key they have
    #[arg(long)]
    pub(crate) emergency: bool,
    /// File with the passphrase of the authority's key in its first line, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CaPassphraseArgs {
    /// File with the passphrase that the key has now, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// File with the one that it is to have; without it the terminal is asked
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Keep the key without a passphrase from now on
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CaRequestArgs {
    /// For a new key, because the old one may be known to others
    #[arg(long)]
    pub(crate) new_key: bool,
    /// File with the passphrase of the authority's key in its first line, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CaInstallArgs {
    /// File that `ca root certify` made
    #[arg(value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// File with the passphrase of the authority's key in its first line, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaRootCommand {
    /// Make a root in a new directory
    Create(CaRootCreateArgs),
    /// Certify a server's authority: prints the certificates for `ca install`
    Certify(CaRootCertifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CaRootCreateArgs {
    /// Directory to make
    #[arg(value_name = "DIR")]
    pub(crate) at: PathBuf,
    /// Name of the organisation, shown in the certificates
    #[arg(long, default_value = "openchat", value_name = "NAME")]
    pub(crate) org: String,
    /// Put the root's key under the passphrase in the first line of this file; `-` for stdin, or to
    /// be asked on a terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CaRootCertifyArgs {
    /// Directory that `ca root create` made
    #[arg(value_name = "DIR")]
    pub(crate) at: PathBuf,
    /// File that `ca request` printed
    #[arg(value_name = "REQUEST")]
    pub(crate) request: PathBuf,
    /// Name or address of the server. Of addresses the authority may certify these alone; names it
    /// may certify all but those excluded. May be given more than once
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<HostName>,
    /// Domain whose names the authority may not certify. May be given more than once
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) exclude: Vec<HostName>,
    /// File with the passphrase of the root's key in its first line, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Check the stored log, from its first entry on, against the heads that were signed
    Verify,
    /// Write the whole log as a file that `openchat log verify` checks with nothing else
    Export(LogExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LogExportArgs {
    /// File to make, or `-` for stdout
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether `run` would take the configuration; changes nothing
    Check(ConfigArgs),
    /// Print every setting and where it comes from
    Show(ConfigArgs),
    /// Print a configuration file with every default and what it means
    Example,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Directory to make; must not exist, or be empty
    #[arg(value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Directory that `backup` made
    #[arg(value_name = "DIR")]
    pub(crate) from: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Of which shell
    pub(crate) shell: Shell,
}

/// Shells that completions are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write `openchat-server*.1` into this directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
