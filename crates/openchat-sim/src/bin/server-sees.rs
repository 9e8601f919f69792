//! Shows what a server has of a conversation: its log's entries, and where in the server's files
//! texts are found. Run by `scripts/demo`; shares no code with the server but the entries' format.
//!
//! `server-sees DATA_DIR NAME TEXT…`: the name of a member must be found, which shows that the
//! search works; no text may be.

#![expect(clippy::print_stdout, reason = "printing is all that this program does")]

use openchat_sim::{entries, files_below, files_with};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, name, texts @ ..] = arguments.as_slice() else {
        println!("usage: server-sees DATA_DIR NAME TEXT…");
        return ExitCode::from(2);
    };
    print_entries(Path::new(data));
    let files = files_below(Path::new(data));
    println!("\nIn all {} files of the server:", files.len());
    let name_found = print_search(&files, name);
    let texts_found = texts.iter().filter(|text| print_search(&files, text)).count();
    if name_found && texts_found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_entries(data: &Path) {
    let mut log = Vec::new();
    for entry in entries(data) {
        if std::mem::replace(&mut log, entry.log.clone()) != entry.log {
            println!("\nplace  kind      bytes  SHA-256");
        }
        let (kind, size, hash) = (entry.kind(), entry.bytes.len(), entry.hash());
        println!("{:>5}  {kind:<8} {size:>6}  {hash:.16}…", entry.seq);
    }
}

fn print_search(files: &[PathBuf], text: &str) -> bool {
    let found = files_with(files, text.as_bytes());
    let names = found.iter().filter_map(|file| file.file_name()?.to_str());
    match names.collect::<Vec<_>>().join(", ").as_str() {
        "" => println!("  nowhere: {text}"),
        names => println!("  in {names}: {text}"),
    }
    !found.is_empty()
}
