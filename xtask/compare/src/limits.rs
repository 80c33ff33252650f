//! What the machine needs at least for a kind of work.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Reads the files of a folder, each into the same buffer of 256 KiB.
pub(crate) fn read_files(folder: &Path) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let mut file = File::open(entry.path())?;
            while file.read(&mut buffer)? > 0 {
                black_box(&buffer);
            }
        }
    }
    Ok(())
}

/// Writes files one after the other, each with fsync, then makes their names durable.
pub(crate) fn write_files(folder: &Path, files: &[(String, bytes::Bytes)]) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let mut file = File::create(folder.join(name)).with_context(|| format!("cannot make {name}"))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    Ok(File::open(folder)?.sync_all()?)
}

/// Reads all numbers of a matrix once, with one thread.
pub(crate) fn read_matrix(matrix: &[f32]) {
    let mut sums = [0.0_f32; 64];
    for numbers in matrix.chunks_exact(64) {
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    black_box(sums);
}
