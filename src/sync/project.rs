//! What a contact's GHL state should look like in Trafft. The one file that names both vendors'
//! fields.

use jiff::Timestamp;
use minijinja::Value;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::locale::Locale;
use super::mapping::{CannotApply, Mapping};
use super::text::{finish, one_line, shorten};
use crate::clients::trafft::wire::{CustomerPatch, NewCustomer};
use crate::model::{EmailKey, Phone, email_in};
use crate::store::{Agreed, Agreement, Customer};

/// The customer as it should be. `None`: GHL has no value, Trafft keeps its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Projection {
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    /// The phone as the contact has it, before it was read.
    #[serde(skip)]
    pub(super) phone_text: Option<String>,
    /// Only where it is ours to write.
    pub(super) description: Option<String>,
    /// Names for a customer that has to be made of a contact without one.
    #[serde(skip)]
    stand_in: String,
    /// When the description, as it is, is no longer true.
    #[serde(skip)]
    pub(super) until: Option<Timestamp>,
    /// What GHL has and Trafft cannot take, in words.
    #[serde(skip)]
    pub(super) left_out: Vec<&'static str>,
}

/// To be raised when the same contact is projected otherwise than before.
pub(super) const VERSION: u32 = 6;

/// Names and addresses longer than this are cut: neither vendor names its own limit.
const LONGEST_NAME: usize = 255;

/// Renders the customer. `escape`: the description may be shown as HTML.
pub(super) fn project(
    mapping: &Mapping,
    (values, until): &(Value, Option<Timestamp>),
    locale: &Locale,
    escape: bool,
) -> Result<Projection, CannotApply> {
    let field = |name: &str| -> Result<Option<String>, CannotApply> {
        let text = shorten(&one_line(&mapping.render(name, values)?), LONGEST_NAME);
        Ok((!text.is_empty()).then_some(text))
    };
    let value = |name: &str| values.get_attr(name).ok().map(|value| value.to_string()).filter(|text| !text.is_empty());
    let mut first_name = field("first_name")?;
    let mut last_name = field("last_name")?;
    if let (None, None, Some(name)) = (&first_name, &last_name, value("name")) {
        let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
        (first_name, last_name) = (Some(first.to_owned()), (!last.is_empty()).then(|| last.to_owned()));
    }
    let email = field("email")?;
    let phone = field("phone")?;
    let mut left_out = Vec::new();
    let email = email.and_then(|text| email_in(&text).map_err(|why| left_out.push(why.reason())).ok());
    let phone_text = phone.clone();
    let phone = phone.and_then(|text| match Phone::new(&text, locale.region) {
        Ok(phone) => Some(phone.to_string()),
        Err(why) => {
            left_out.push(why.reason());
            None
        }
    });
    if [&first_name, &last_name].into_iter().flatten().any(|name| name.contains('\u{fffd}')) {
        left_out.push("a character of the name is broken in GoHighLevel: Trafft shows \u{fffd} in its place");
    }
    let local_part = email.as_deref().and_then(|email| email.split('@').next()).map(str::to_owned);
    Ok(Projection {
        first_name,
        last_name,
        stand_in: value("company").or(local_part).unwrap_or_else(|| "-".to_owned()),
        email,
        phone,
        phone_text,
        description: Some(finish(&mapping.render("description", values)?, mapping.limits.max_length, escape)),
        until: *until,
        left_out,
    })
}

impl Projection {
    /// What identifies this state: equal fingerprints need no write.
    pub(super) fn fingerprint(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// `first`, and what had to be left out of the projection.
    pub(super) fn explain(&self, first: &str) -> String {
        let parts = std::iter::once(first).chain(self.left_out.iter().copied()).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("; ")
    }

    /// The customer to create.
    pub(super) fn new_customer(&self) -> NewCustomer {
        let first = match (&self.first_name, &self.last_name) {
            (Some(first), _) => first.clone(),
            (None, Some(_)) => "-".to_owned(),
            (None, None) => self.stand_in.clone(),
        };
        NewCustomer {
            first_name: first,
            // Perhaps Trafft wants one (T §10); this is the last resort that the book names.
            last_name: self.last_name.clone().unwrap_or_else(|| "-".to_owned()),
            email: self.email.clone(),
            phone: self.phone.clone(),
            description: self.description.clone().filter(|text| !text.is_empty()),
        }
    }

    /// Does GHL have all four fields that a PATCH must carry (T §5.3)?
    pub(super) fn is_whole(&self) -> bool {
        [&self.first_name, &self.last_name, &self.email, &self.phone].iter().all(|field| field.is_some())
    }

    /// The update to send; what GHL lacks is `current`'s own value.
    pub(super) fn patch(&self, current: Option<&Customer>) -> CustomerPatch {
        let or = |ours: &Option<String>, theirs: fn(&Customer) -> &String| {
            ours.clone().or_else(|| current.map(|customer| theirs(customer).clone())).unwrap_or_default()
        };
        CustomerPatch {
            first_name: or(&self.first_name, |customer| &customer.first_name),
            last_name: or(&self.last_name, |customer| &customer.last_name),
            email: or(&self.email, |customer| &customer.email),
            phone: or(&self.phone, |customer| &customer.phone_number),
            description: self.description.clone(),
        }
    }

    /// Is Trafft's customer so already, as far as GHL has values? What Trafft never shows cannot be
    /// known to match.
    pub(super) fn matches(&self, customer: &Customer) -> bool {
        self.description.is_none() && self.shows_in(customer, &Agreed::default())
    }

    /// Is what Trafft shows of its customer as it should be? A form of our value that is known to
    /// be Trafft's own is.
    pub(super) fn shows_in(&self, customer: &Customer, agreed: &Agreed) -> bool {
        let Customer { first_name, last_name, email, phone_number, phone, .. } = customer;
        let same = |ours: &Option<String>, theirs: &str, agreed: &Agreement, is_equal: &dyn Fn(&str) -> bool| {
            ours.as_deref().is_none_or(|ours| is_equal(ours) || agreed.holds(ours, theirs))
        };
        same(&self.first_name, first_name, &agreed.first_name, &|ours| ours == first_name)
            && same(&self.last_name, last_name, &agreed.last_name, &|ours| ours == last_name)
            && same(&self.email, email, &agreed.email, &|ours| EmailKey::new(ours) == EmailKey::new(email))
            && same(&self.phone, phone_number, &agreed.phone, &|ours| {
                phone.as_ref().is_some_and(|theirs| theirs.as_str() == ours)
            })
    }

    /// Is it what both sides agreed on last? A description is not among that.
    pub(super) fn is_agreed(&self, agreed: &Agreed) -> bool {
        let same = |ours: &Option<String>, before: &Agreement| ours.as_ref().is_none_or(|ours| *ours == before.ours);
        self.description.is_none()
            && same(&self.first_name, &agreed.first_name)
            && same(&self.last_name, &agreed.last_name)
            && same(&self.email, &agreed.email)
            && same(&self.phone, &agreed.phone)
    }

    /// What both sides agree on once this was written, and the customer looks like that. What GHL
    /// lacks stays as it was agreed, unless Trafft shows another value now: then HighLevel's former
    /// value is written when it comes back.
    pub(super) fn agreed(&self, customer: &Customer, before: &Agreed) -> Agreed {
        let one = |ours: &Option<String>, theirs: &str, before: &Agreement| match ours {
            Some(ours) => Agreement { ours: ours.clone(), theirs: theirs.to_owned() },
            None if theirs == before.theirs => before.clone(),
            None => Agreement::default(),
        };
        Agreed {
            first_name: one(&self.first_name, &customer.first_name, &before.first_name),
            last_name: one(&self.last_name, &customer.last_name, &before.last_name),
            email: one(&self.email, &customer.email, &before.email),
            phone: one(&self.phone, &customer.phone_number, &before.phone),
        }
    }
}

#[cfg(test)]
impl Projection {
    /// A projection with just these four; empty means none.
    pub(super) fn of(first: &str, last: &str, email: &str, phone: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            first_name: some(first),
            last_name: some(last),
            email: some(email),
            phone: some(phone),
            phone_text: some(phone),
            description: None,
            stand_in: "-".to_owned(),
            until: None,
            left_out: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mapping::VARIABLES;
    use super::super::values::{State, values};
    use super::*;
    use crate::clients::ghl::wire::Contact;
    use crate::model::{Region, zone};

    fn locale() -> Locale {
        Locale { zone: zone("America/New_York"), region: Region::new("US"), is_told: true }
    }

    fn shown(contact: serde_json::Value) -> (Value, Option<Timestamp>) {
        let contact: Contact = serde_json::from_value(contact).unwrap();
        let tasks = Vec::new();
        let notes = Vec::new();
        let appointments = Vec::new();
        let state = State { contact: &contact, definitions: &[], tasks, notes, appointments, deleted: None };
        values(&state, &locale(), &Mapping::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_contact_offers_what_templates_may_name() {
        let (values, _) = shown(json!({ "id": "c1" }));
        let mut offered: Vec<_> = values.try_iter().unwrap().map(|name| name.to_string()).collect();
        offered.push("loop".to_owned());
        offered.sort();
        let mut named = VARIABLES.to_vec();
        named.sort_unstable();
        assert_eq!(offered, named);
    }

    #[test]
    fn names_are_what_ghl_has_and_stand_ins_only_where_a_customer_is_made() {
        for (contact, has, made) in [
            (json!({ "firstName": "Ada", "lastName": "Example" }), (Some("Ada"), Some("Example")), ("Ada", "Example")),
            (json!({ "firstName": "Ada" }), (Some("Ada"), None), ("Ada", "-")),
            (json!({ "lastName": "Example" }), (None, Some("Example")), ("-", "Example")),
            (json!({ "name": "Ada King Noel" }), (Some("Ada"), Some("King Noel")), ("Ada", "King Noel")),
            (json!({ "name": "Ada" }), (Some("Ada"), None), ("Ada", "-")),
            (json!({ "companyName": "Example Ltd" }), (None, None), ("Example Ltd", "-")),
            (json!({ "email": "ada@example.com" }), (None, None), ("ada", "-")),
            (json!({ "firstName": " \u{202e}\t" }), (None, None), ("-", "-")),
        ] {
            let mut contact = contact;
            contact["id"] = json!("c1");
            let projection = project(&Mapping::default(), &shown(contact.clone()), &locale(), true).unwrap();
            assert_eq!((projection.first_name.as_deref(), projection.last_name.as_deref()), has, "{contact}");
            let new = projection.new_customer();
            assert_eq!((new.first_name.as_str(), new.last_name.as_str()), made, "{contact}");
        }
    }
}
