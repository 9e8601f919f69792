//! Messages whose time was over while the session ran, or before.

use super::{Front, Report, Session, SessionError};
use openchat_wire::GroupId;
use std::collections::BTreeSet;

impl Session {
    /// Tells that messages of these groups were deleted.
    pub(super) fn tell_forgotten(
        &mut self,
        groups: &BTreeSet<GroupId>,
    ) -> Result<(), SessionError> {
        if groups.is_empty() {
            return Ok(());
        }
        let known = self.engine.conversations();
        let named = known.filter_map(|it| Some((it.group?, it.target.to_string())));
        for (group, target) in named.filter(|(group, _)| groups.contains(group)) {
            self.reports.push(Report::Forgotten { target: target.clone(), unshown: 0 });
            self.guests.tell_missed(&group, &target, &mut self.vault)?;
        }
        Ok(())
    }

    /// Tells how many went before they were shown here.
    pub(super) fn tell_unshown(
        &mut self,
        group: &GroupId,
        target: &str,
        front: &mut impl Front,
    ) -> Result<(), SessionError> {
        let unshown = self.vault.take_missed(None, group)?;
        if unshown == 0 {
            return Ok(());
        }
        self.show(&[Report::Forgotten { target: target.to_owned(), unshown }], front)
    }
}
