//! Plays the session of the pictures in `docs/pictures` and writes those that are no longer what the
//! programs show. Run by `scripts/pictures`.

#![expect(clippy::print_stdout, reason = "it says what it has written")]

use openchat_sim::picture::{folder, play};
use std::io;

fn main() -> io::Result<()> {
    std::fs::create_dir_all(folder())?;
    for picture in play() {
        if let Err(why) = picture.is_kept() {
            println!("{why}");
            std::fs::write(picture.file(), &picture.svg)?;
        } else {
            println!("{} is true", picture.file().display());
        }
    }
    Ok(())
}
