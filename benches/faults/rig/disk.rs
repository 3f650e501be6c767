//! A disk that can be filled: a tmpfs of a few megabytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when it is dropped.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `path`. The folder's watchdog unmounts it should this process die.
    pub(crate) fn mount(folder: &Path, megabytes: u32) -> Self {
        let path = folder.join("disk");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(folder.join("mounts"), format!("{}\n", path.display())).unwrap();
        let options = format!("size={megabytes}m,mode=755");
        run(&["-t", "tmpfs", "-o", &options, "tmpfs"], &path);
        Self { path }
    }

    /// Fills what is free to the last page.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let page = [0; 4096];
        while file.write_all(&page).is_ok() {}
    }

    /// Takes away what `fill` wrote.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Makes it so large that it does not fill up again.
    pub(crate) fn grow(&self) {
        run(&["-o", "remount,size=1g"], &self.path);
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn run(arguments: &[&str], path: &Path) {
    let status = Command::new("mount").args(arguments).arg(path).status();
    assert!(status.unwrap().success(), "mount {arguments:?}");
}

/// Whether this process may mount: only root may.
pub(crate) fn may_mount() -> bool {
    let answer = Command::new("id").arg("-u").output();
    answer.is_ok_and(|it| it.stdout == b"0\n")
}
