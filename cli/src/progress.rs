//! What is shown of a task while it is awaited: a bar on a terminal, a line per state elsewhere, JSON for programs.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Console;
use crate::error::CliError;
use crate::task_view::{Seen, TaskView};

/// While nothing but a moving sign says that the task runs.
const SPINNER: &str = "{spinner} {elapsed} {msg}";

/// While the task says how far it is.
const BAR: &str = "[{bar:30}] {pos:>3} % {elapsed} {msg}";

/// Shows a task while it is awaited.
#[derive(Debug)]
pub struct Progress {
    console: Console,
    style: Style,
    last: Option<TaskView>,
}

#[derive(Debug)]
enum Style {
    /// A moving line on the standard error, which is a terminal.
    Bar { bar: ProgressBar, measured: bool },
    /// A line whenever the state changes, on the standard output or beside it.
    Lines { beside: bool },
    /// A JSON document whenever anything changes.
    Documents,
    /// Nothing at all.
    Nothing,
}

impl Progress {
    /// For a command whose result is what is seen on the way.
    pub fn as_result(console: Console) -> Self {
        let style = if console.is_json() { Style::Documents } else { people(false) };
        Self { console, style, last: None }
    }

    /// For a command whose result is something else and comes afterwards.
    pub fn beside_result(console: Console) -> Self {
        let style = if console.is_json() { Style::Nothing } else { people(true) };
        Self { console, style, last: None }
    }

    /// How many seconds the service may hold an answer back. A short hold keeps the picture fresh, a long one
    /// saves requests where there is no picture. An end is told at once either way.
    pub fn hold_seconds(&self) -> u64 {
        match self.style {
            Style::Bar { .. } | Style::Lines { .. } | Style::Documents => 1,
            Style::Nothing => 20,
        }
    }

    /// The task as it is now.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn show(&mut self, seen: &Seen) -> Result<(), CliError> {
        let task = &seen.task;
        match &mut self.style {
            Style::Bar { bar, measured } => draw(bar, measured, task),
            Style::Lines { beside } => {
                let known = self.last.as_ref().is_some_and(|last| step_of(last) == step_of(task));
                if !known && *beside {
                    self.console.note(&task.sentence());
                } else if !known {
                    self.console.line(&task.sentence())?;
                }
            }
            Style::Documents => {
                if self.last.as_ref().is_none_or(|last| task.differs_from(last)) {
                    self.console.line(&seen.document.to_string())?;
                }
            }
            Style::Nothing => {}
        }
        self.last = Some(task.clone());
        Ok(())
    }

    /// Something is wrong on the way to the service; it is tried again.
    pub fn trouble(&mut self, text: &str) {
        match &self.style {
            Style::Bar { bar, .. } => bar.set_message(text.to_owned()),
            Style::Lines { .. } => self.console.note(text),
            Style::Documents | Style::Nothing => {}
        }
    }

    /// Nothing more comes; the bar makes room for what is printed next.
    pub fn finish(&self) {
        if let Style::Bar { bar, .. } = &self.style {
            bar.finish_and_clear();
        }
    }
}

fn people(beside: bool) -> Style {
    if !io::stderr().is_terminal() {
        return Style::Lines { beside };
    }
    let bar =
        ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr()).with_style(style(SPINNER));
    bar.enable_steady_tick(Duration::from_millis(120));
    Style::Bar { bar, measured: false }
}

/// What makes a new line: the state, and a further attempt. Percent and place in the queue change too often.
fn step_of(task: &TaskView) -> (&str, u64) {
    (task.state_word(), task.epoch)
}

fn draw(bar: &ProgressBar, measured: &mut bool, task: &TaskView) {
    let percent = task.percent().filter(|_| task.state == "running");
    if percent.is_some() != *measured {
        *measured = percent.is_some();
        bar.set_style(style(if *measured { BAR } else { SPINNER }));
    }
    match percent {
        Some(percent) => {
            bar.set_position(percent);
            let message = task.message.as_deref().unwrap_or_else(|| task.state_word());
            bar.set_message(crate::table::printable(message));
        }
        None => bar.set_message(task.sentence()),
    }
}

/// Both templates are fixed and right; if one were not, a plain bar is better than no command.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_right() {
        for template in [SPINNER, BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
