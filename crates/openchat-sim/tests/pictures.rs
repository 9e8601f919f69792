//! The pictures of the documents show what the programs show.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::{
    files_below,
    picture::{Picture, folder, play},
    workspace,
};

#[test]
fn the_pictures_are_what_the_programs_show() {
    let pictures = play();
    let is_kept = |picture: &Picture| picture.is_kept().err();
    let wrong: Vec<String> = pictures.iter().filter_map(is_kept).collect();
    assert!(wrong.is_empty(), "run scripts/pictures: - is kept, + is shown\n{}", wrong.join("\n"));
    // One that nobody makes could say anything.
    let made: Vec<_> = pictures.iter().map(Picture::file).collect();
    let stray: Vec<_> =
        files_below(&folder()).into_iter().filter(|file| !made.contains(file)).collect();
    assert!(stray.is_empty(), "no session makes {stray:?}");
}

#[test]
fn a_picture_that_lies_is_found() {
    let kept = std::fs::read_to_string(folder().join("screen.svg")).unwrap();
    let picture = |svg: String| Picture { name: "screen", svg };
    assert_eq!(picture(kept.clone()).is_kept(), Ok(()));
    for (truth, lie) in
        [("certified", "verified"), ("delivered", "read"), ("online", "onlyme"), ("@1<", "@2<")]
    {
        assert!(kept.contains(truth), "{truth}");
        let wrong = picture(kept.replacen(truth, lie, 1)).is_kept().unwrap_err();
        assert!(wrong.contains(lie), "{wrong}");
    }
}

#[test]
fn the_readme_shows_every_picture_and_says_what_is_on_it() {
    let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
    for picture in files_below(&folder()) {
        let name = picture.file_name().unwrap().to_str().unwrap();
        let (before, _) = readme.split_once(&format!("](docs/pictures/{name})")).unwrap();
        let (_, alt) = before.rsplit_once("![").unwrap();
        assert!(alt.len() > 40 && !alt.contains('\n'), "{name}: {alt:?}");
    }
}
