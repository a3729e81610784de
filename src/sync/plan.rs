//! What Trafft should hold of a contact. Reconcile, dry run, the doctor's preview and the search
//! for wrong phones all ask here, so they agree.

use jiff::Timestamp;
use minijinja::Value;

use super::locale::Locale;
use super::mapping::{CannotApply, Mapping};
use super::project::{Projection, project};
use super::values::{State, values};
use super::{DescriptionPolicy, Policy};
use crate::store::Link;

/// What should become of a contact.
#[derive(Debug)]
pub(super) enum Plan {
    /// The mapping's `only` leaves it out.
    Filtered,
    /// It has no customer and cannot become one: Trafft could take neither e-mail nor phone of it.
    /// Why, in words.
    Unreachable(String),
    /// Its customer should look like this.
    Customer(Projection),
}

/// What decides beside the contact itself.
pub(super) struct Rules<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) policy: &'a Policy,
    pub(super) locale: &'a Locale,
    pub(super) now: Timestamp,
}

/// The origin of a contact's customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// It has none yet.
    Nobody,
    /// We did, for this contact.
    Us,
    /// Staff, or the person who booked.
    Others,
}

impl Maker {
    pub(super) fn of(link: &Link) -> Self {
        match link.linked() {
            None => Self::Nobody,
            Some(linked) if linked.ours => Self::Us,
            Some(_) => Self::Others,
        }
    }
}

/// What should become of the contact.
///
/// # Errors
/// The mapping cannot be applied to it.
pub(super) fn plan(state: &State<'_>, maker: Maker, rules: &Rules<'_>) -> Result<Plan, CannotApply> {
    let shown = values(state, rules.locale, rules.mapping, rules.now);
    if !rules.mapping.keeps(&shown.0)? {
        return Ok(Plan::Filtered);
    }
    let customer = rendered(&shown, maker, rules)?;
    if maker == Maker::Nobody && customer.email.is_none() && customer.phone.is_none() {
        return Ok(Plan::Unreachable(
            customer.explain("the contact has neither e-mail nor phone that Trafft could take"),
        ));
    }
    Ok(Plan::Customer(customer))
}

/// What the customer of the contact should look like, whatever the filter says.
///
/// # Errors
/// The mapping cannot be applied to it.
pub(super) fn customer(state: &State<'_>, maker: Maker, rules: &Rules<'_>) -> Result<Projection, CannotApply> {
    rendered(&values(state, rules.locale, rules.mapping, rules.now), maker, rules)
}

fn rendered(shown: &(Value, Option<Timestamp>), maker: Maker, rules: &Rules<'_>) -> Result<Projection, CannotApply> {
    let mut projection = project(rules.mapping, shown, rules.locale, rules.policy.escape)?;
    claim_description(&mut projection, rules.policy.description, maker);
    Ok(projection)
}

/// Takes the description out where it is not ours to write. Of a customer that is not there yet it
/// is ours.
pub(super) fn claim_description(projection: &mut Projection, policy: DescriptionPolicy, maker: Maker) {
    let is_ours = match policy {
        DescriptionPolicy::All => true,
        DescriptionPolicy::Created => maker != Maker::Others,
        DescriptionPolicy::AtCreation => maker == Maker::Nobody,
    };
    if !is_ours {
        (projection.description, projection.until) = (None, None);
    }
}
