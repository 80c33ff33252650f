//! What was tried and what became of it.

use std::fmt;
use std::path::Path;

use anyhow::{Result, ensure};
use support::{RESULT, marked, thousands};

/// The trials of one fault from one starting state: how many, and what was lost in which.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) count: usize,
    pub(super) lost: Vec<String>,
}

impl Tried {
    /// These and more.
    pub(super) fn and(mut self, more: Self) -> Self {
        self.count += more.count;
        self.lost.extend(more.lost);
        self
    }
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Row {
    fault: &'static str,
    start: &'static str,
    tried: Result<Tried, String>,
}

impl Row {
    pub(super) fn tried(fault: &'static str, start: &'static str, tried: Tried) -> Self {
        Self { fault, start, tried: Ok(tried) }
    }

    /// What could not be tried, and why.
    pub(super) fn skipped(fault: &'static str, start: &'static str, why: String) -> Self {
        Self { fault, start, tried: Err(why) }
    }

    /// How many have lost something, if they were tried.
    pub(super) fn lost(&self) -> Option<usize> {
        self.tried.as_ref().ok().map(|tried| tried.lost.len())
    }

    fn cells(&self) -> [String; 5] {
        let [tried, survived, lost] = match &self.tried {
            Ok(Tried { count, lost }) => [*count, count - lost.len().min(*count), lost.len()].map(|n| n.to_string()),
            Err(_) => ["not tried", "", ""].map(str::to_owned),
        };
        [self.fault.to_owned(), self.start.to_owned(), tried, survived, lost]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [fault, start, tried, survived, lost] = self.cells();
        match &self.tried {
            Err(why) => write!(f, "{fault:<44} {start:<13} SKIPPED: {why}"),
            Ok(_) => write!(f, "{fault:<44} {start:<13} {tried:>5} tried, {survived:>5} survived, {lost:>3} lost"),
        }
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

/// How many losses of a line are shown.
const SHOWN: usize = 5;

const MARKS: [&str; 2] = ["<!-- Written by `cargo xtask faults --write` from here … -->", "<!-- … to here -->"];

impl Table {
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Nothing may be lost, and something must have been tried.
    pub(super) fn demand(&self) -> Result<()> {
        let tried = || self.rows.iter().filter_map(|row| row.tried.as_ref().ok());
        let (count, lost) = (tried().map(|t| t.count).sum::<usize>(), tried().map(|t| t.lost.len()).sum::<usize>());
        let skipped = self.rows.iter().filter(|row| row.tried.is_err()).count();
        let not_tried = if skipped == 0 { String::new() } else { format!(", {skipped} rows were not tried") };
        println!("{RESULT}{} faults on a disk tried, {lost} lost something{not_tried}", thousands(count));
        ensure!(count > 0, "nothing was tried");
        ensure!(lost == 0, "{lost} of {count} trials lost something");
        Ok(())
    }

    /// Puts the table into a document, between its marks.
    pub(super) fn write_to(&self, document: &Path) -> Result<()> {
        marked::write(MARKS, &self.markdown(), document)
    }

    fn markdown(&self) -> String {
        let mut text = "| fault | starting state | tried | survived | lost |\n|---|---|---:|---:|---:|\n".to_owned();
        for row in &self.rows {
            text += &format!("| {} |\n", row.cells().join(" | "));
        }
        text
    }
}

/// What was lost.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows.iter().filter(|row| row.lost() != Some(0)) {
            writeln!(f, "{row}")?;
            let lost = row.tried.as_ref().map_or(&[][..], |tried| &tried.lost);
            for what in lost.iter().take(SHOWN) {
                writeln!(f, "    {what}")?;
            }
            if lost.len() > SHOWN {
                writeln!(f, "    … and {} more", lost.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(count: usize, lost: &[&str]) -> Tried {
        Tried { count, lost: lost.iter().map(|&what| what.to_owned()).collect() }
    }

    #[test]
    fn what_is_lost_fails_and_so_does_an_empty_table() {
        let mut table = Table::default();
        assert_eq!(table.demand().unwrap_err().to_string(), "nothing was tried");
        table.push(Row::tried("a", "empty", tried(3, &[])));
        table.push(Row::skipped("b", "empty", "no mounts".into()));
        table.demand().unwrap();
        table.push(Row::tried("c", "empty", tried(2, &["torn"])));
        assert_eq!(table.demand().unwrap_err().to_string(), "1 of 5 trials lost something");
        assert!(table.to_string().contains("SKIPPED: no mounts"));
        assert!(table.to_string().contains("\n    torn\n"));
    }

    #[test]
    fn the_table_has_a_line_for_each_row() {
        let mut table = Table::default();
        table.push(Row::tried("a", "empty", tried(3, &["torn"])));
        assert!(table.markdown().ends_with("|\n| a | empty | 3 | 2 | 1 |\n"));
    }
}
