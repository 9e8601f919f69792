//! Which answer belongs to which line of input.

use super::FIRST;
use crate::{json::Reference, wish::What};
use openchat_wire::MessageId;
use std::collections::{BTreeMap, HashMap};

/// What was asked, by the numbers that answers carry.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The last question's number.
    last: u64,
    /// By the first number of each line.
    lines: BTreeMap<u64, Line>,
    messages: HashMap<MessageId, Reference>,
}

impl Default for Answers {
    /// The first question opens the conversation; no line of input asks it.
    fn default() -> Self {
        Self { last: FIRST, lines: BTreeMap::new(), messages: HashMap::new() }
    }
}

/// A line of input that asked for something.
#[derive(Debug, Clone)]
struct Line {
    reference: Option<Reference>,
    /// What is said when it is done, where nothing else tells it.
    said: Option<&'static str>,
    /// The number of its last question.
    last: u64,
    /// Answers that have not come.
    missing: usize,
    failed: bool,
}

impl Answers {
    /// A line wants this. Gives the first question's number; the others' follow it.
    pub(crate) fn expect(&mut self, what: &What, reference: Option<Reference>) -> u64 {
        self.expect_all((what.questions(), what.done()), reference)
    }

    /// The same for a line that wants one thing.
    pub(crate) fn expect_one(&mut self, reference: Option<Reference>) -> u64 {
        self.expect_all((1, None), reference)
    }

    fn expect_all(
        &mut self,
        (questions, said): (usize, Option<&'static str>),
        reference: Option<Reference>,
    ) -> u64 {
        let first = self.last.saturating_add(1);
        self.last = self.last.saturating_add(u64::try_from(questions).unwrap_or(u64::MAX));
        let (last, missing) = (self.last, questions);
        self.lines.insert(first, Line { reference, said, last, missing, failed: false });
        first
    }

    /// The script calls this message so.
    pub(crate) fn name(&mut self, id: MessageId, reference: Reference) {
        self.messages.insert(id, reference);
    }

    /// The script's name for a message; asked for once.
    pub(crate) fn of_message(&mut self, id: &MessageId) -> Option<Reference> {
        self.messages.remove(id)
    }

    /// This is done. If with it all is done that its line asked for, gives the script's name for it,
    /// and what is said to people.
    pub(crate) fn done(&mut self, order: u64) -> Option<(Option<Reference>, Option<&'static str>)> {
        let line = self.answered(order)?;
        (line.missing == 0 && !line.failed).then_some((line.reference, line.said))
    }

    /// This has failed. Gives the script's name for the line.
    pub(crate) fn failed(&mut self, order: u64) -> Option<Reference> {
        self.line(order)?.1.failed = true;
        self.answered(order)?.reference
    }

    /// What the script calls the lines of these orders.
    pub(crate) fn references(&self, orders: &[u64]) -> Vec<Reference> {
        let line = |order: &u64| self.lines.range(..=order).next_back().map(|(_, line)| line);
        orders.iter().filter_map(line).filter_map(|line| line.reference.clone()).collect()
    }

    fn line(&mut self, order: u64) -> Option<(u64, &mut Line)> {
        let (first, line) = self.lines.range_mut(..=order).next_back()?;
        (order <= line.last).then_some((*first, line))
    }

    /// The line with one answer less.
    fn answered(&mut self, order: u64) -> Option<Line> {
        let (first, line) = self.line(order)?;
        line.missing = line.missing.saturating_sub(1);
        if line.missing == 0 {
            return self.lines.remove(&first);
        }
        Some(line.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn reference(name: &str) -> Option<Reference> {
        let line = format!(r#"{{"type":"leave","ref":"{name}"}}"#);
        json::parse(&line).unwrap().reference
    }

    fn people(count: usize) -> What {
        What::Invite(vec!["bob".parse().unwrap(); count])
    }

    #[test]
    fn a_line_is_done_when_all_is_done_that_it_asked_for() {
        let mut answers = Answers::default();
        let one = answers.expect(&What::Decline, reference("a"));
        let three = answers.expect(&people(3), reference("b"));
        let none = answers.expect(&What::Names, None);
        assert_eq!((one, three, none), (2, 3, 6));
        assert_eq!(answers.done(5), None);
        assert_eq!(answers.done(one), Some((reference("a"), Some("declined"))));
        assert_eq!(answers.done(3), None);
        assert_eq!(answers.done(4), Some((reference("b"), None)));
        assert_eq!(answers.done(none), Some((None, None)));
        assert_eq!(answers.done(none), None, "answered once");
        assert_eq!(answers.done(FIRST), None, "no line asked for it");
    }

    #[test]
    fn a_line_of_which_something_failed_is_never_done() {
        let mut answers = Answers::default();
        let first = answers.expect(&people(2), reference("a"));
        assert_eq!(answers.failed(first), reference("a"));
        assert_eq!(answers.done(first + 1), None);
        assert!(answers.lines.is_empty());
    }
}
