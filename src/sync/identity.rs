//! Which customer a contact is: never guessed, decided by a person where the two vendors leave
//! doubt.

use unicode_normalization::UnicodeNormalization;

use super::locale::Locale;
use super::project::Projection;
use super::{Connection, Failure};
use crate::clients::trafft::wire::NewCustomer;
use crate::model::{ContactId, CustomerId, EmailKey, Phone};
use crate::store::{Agreed, Customer, Store};

/// What the index says about a contact that has no link yet.
#[derive(Debug)]
pub(super) enum Match {
    /// Exactly one unlinked customer, and nothing speaks against it.
    Unique(Customer),
    /// No customer.
    None,
    /// The contact has a link by now: another process, which worked it before, has stored what its
    /// create made.
    Own,
    /// A person has to decide.
    Ambiguous { reason: String, customer: Option<CustomerId> },
}

/// By e-mail first, then by phone. `own`: the contact, which has no link as far as we know.
pub(super) async fn find(
    store: &Store,
    connection: &Connection,
    projection: &Projection,
    locale: &Locale,
    own: &ContactId,
) -> Result<Match, Failure> {
    let location = &connection.location;
    let judged = |same: Vec<Customer>, by: &str| {
        let is_own = same.iter().any(|customer| customer.held_by.as_ref() == Some(own));
        if is_own { Match::Own } else { judge(same, by, projection) }
    };
    if let Some(email) = projection.email.as_deref().and_then(EmailKey::new) {
        let same = store.customers_by_email(location, &email).await?;
        if !same.is_empty() {
            return Ok(judged(same, "e-mail"));
        }
    }
    if let Some(phone) = projection.phone.as_deref().and_then(|phone| Phone::new(phone, locale.region).ok()) {
        let same = store.customers_by_phone(location, &phone).await?;
        return Ok(judged(same, "phone"));
    }
    Ok(Match::None)
}

/// The customer, other than its own, that already has the e-mail that a linked contact has moved
/// to. Of several, one that a contact has: only that one can be deleted with its contact.
pub(super) async fn holder_of_new_email(
    store: &Store,
    connection: &Connection,
    projection: &Projection,
    own: CustomerId,
) -> Result<Option<CustomerId>, Failure> {
    let Some(email) = projection.email.as_deref().and_then(EmailKey::new) else { return Ok(None) };
    let before = store.customer(&connection.location, own).await?;
    if before.as_ref().and_then(|customer| EmailKey::new(&customer.email)).as_ref() == Some(&email) {
        return Ok(None);
    }
    let same = store.customers_by_email(&connection.location, &email).await?;
    let others = || same.iter().filter(|customer| customer.id != own);
    let held = others().find(|customer| customer.held_by.is_some());
    Ok(held.or_else(|| others().next()).map(|customer| customer.id))
}

/// Customers that came after `newest` and look like what we meant to create: the same e-mail and
/// phone, and the same names, or a form of them in which Trafft may show what it was sent.
pub(super) async fn made_by_us(
    store: &Store,
    connection: &Connection,
    meant: &NewCustomer,
    newest: i64,
) -> Result<Vec<Customer>, Failure> {
    let newer = store.customers_newer_than(&connection.location, newest).await?;
    Ok(newer.into_iter().filter(|customer| customer.held_by.is_none() && looks_like(meant, customer)).collect())
}

/// May the customer be what a create has just made? A phone speaks against it only where Trafft
/// shows it with its country: how it shows others is not known (T §5.1).
pub(super) fn may_be(meant: &NewCustomer, customer: &Customer) -> bool {
    let phone = customer.phone.as_ref().filter(|_| customer.phone_number.starts_with('+'));
    is_form_of(&meant.first_name, &customer.first_name)
        && is_form_of(&meant.last_name, &customer.last_name)
        && !both_differ(meant.email.as_deref().and_then(EmailKey::new), EmailKey::new(&customer.email))
        && !both_differ(meant.phone.as_deref(), phone.map(Phone::as_str))
}

/// Have the two the e-mail or the phone in common?
pub(super) fn can_be_reached_alike(meant: &NewCustomer, customer: &Customer) -> bool {
    let email = meant.email.as_deref().and_then(EmailKey::new);
    let phone = meant.phone.as_deref().filter(|phone| !phone.is_empty());
    email.is_some() && email == EmailKey::new(&customer.email)
        || phone.is_some_and(|phone| is_form_of_phone(phone, customer))
}

/// Does the customer look like what a create was to make?
fn looks_like(meant: &NewCustomer, customer: &Customer) -> bool {
    is_form_of(&meant.first_name, &customer.first_name)
        && is_form_of(&meant.last_name, &customer.last_name)
        && EmailKey::new(&customer.email) == meant.email.as_deref().and_then(EmailKey::new)
        && is_form_of_phone(meant.phone.as_deref().unwrap_or_default(), customer)
}

/// May what Trafft shows be a form of this number? It may lack the country (T §5.1); then the
/// number ends with it.
fn is_form_of_phone(meant: &str, customer: &Customer) -> bool {
    let key = customer.phone.as_ref().map(Phone::as_str).unwrap_or_default();
    if key == meant {
        return true;
    }
    let digits: String = customer.phone_number.chars().filter(char::is_ascii_digit).collect();
    let national = digits.trim_start_matches('0');
    !customer.phone_number.starts_with('+') && !national.is_empty() && meant.ends_with(national)
}

/// Of fewer letters a name is not cut: "Ann" is another than "Anna".
const SHORTEST_CUT: usize = 6;

/// The characters that web services escape, and their usual forms. `&` comes last, because an
/// escape that results from its unescaping was not one before.
const ESCAPED: [(&str, &str); 6] =
    [("&#039;", "'"), ("&#39;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];

/// May `theirs` be what a service makes of the name `ours` before it shows it: re-cased, its
/// accents composed, escaped, without what its database cannot hold (MySQL's `utf8` ends at
/// U+FFFF), cut at the end?
fn is_form_of(ours: &str, theirs: &str) -> bool {
    let comparable = |name: &str| {
        let plain = ESCAPED.iter().fold(name.to_owned(), |name, (escaped, plain)| name.replace(escaped, plain));
        let kept: String = plain.nfc().filter(|c| *c <= '\u{ffff}').collect();
        kept.trim().to_lowercase()
    };
    let ours = comparable(ours);
    let shown = comparable(theirs);
    ours == shown || shown.chars().count() >= SHORTEST_CUT && ours.starts_with(&shown)
}

fn judge(mut same: Vec<Customer>, by: &str, projection: &Projection) -> Match {
    let doubt = |reason: String, customer| Match::Ambiguous {
        reason: format!("{reason}: decide with `contacts link` or `contacts create`"),
        customer,
    };
    match (same.len(), same.pop()) {
        (1, Some(customer)) => {
            let id = customer.id;
            if let Some(holder) = &customer.held_by {
                return doubt(format!("customer {id} has this {by}, but belongs to contact {holder}"), Some(id));
            }
            match contradiction(&customer, projection) {
                Some(what) => doubt(format!("customer {id} has this {by}, but another {what}"), Some(id)),
                None => Match::Unique(customer),
            }
        }
        (0, _) | (_, None) => Match::None,
        (several, Some(last)) => {
            same.push(last);
            let ids: Vec<_> = same.iter().map(|customer| customer.id.to_string()).collect();
            // Only one that a contact has can be deleted with that contact, so that one is claimed.
            let held = same.iter().find(|customer| customer.held_by.is_some());
            doubt(format!("{several} customers have this {by} ({})", ids.join(", ")), held.map(|customer| customer.id))
        }
    }
}

/// What speaks against the two being the same person. What one side lacks contradicts nothing.
fn contradiction(customer: &Customer, projection: &Projection) -> Option<&'static str> {
    let theirs = name(&[&customer.first_name, &customer.last_name]);
    let ours = name(&[
        projection.first_name.as_deref().unwrap_or_default(),
        projection.last_name.as_deref().unwrap_or_default(),
    ]);
    let differ = |ours: &[String], theirs: &[String]| {
        // Either may know only one of two names.
        let (few, many) = if ours.len() < theirs.len() { (ours, theirs) } else { (theirs, ours) };
        !few.iter().all(|part| many.contains(part))
    };
    let email = |text: Option<&str>| text.and_then(EmailKey::new);
    if differ(&ours, &theirs) {
        Some("name")
    } else if both_differ(email(projection.email.as_deref()), email(Some(&customer.email))) {
        Some("e-mail")
    } else if both_differ(projection.phone.as_deref(), customer.phone.as_ref().map(Phone::as_str)) {
        Some("phone")
    } else {
        None
    }
}

/// Has the customer become another person's? Yes, if it has another name, and neither the e-mail
/// nor the phone that Trafft showed at the last write. Staff who correct one of these still mean
/// the same person. Without agreed values, nothing shows that it is another person.
pub(super) fn is_another_person(customer: &Customer, agreed: &Agreed) -> bool {
    let Customer { first_name, last_name, email, phone_number, .. } = customer;
    let names = [(&agreed.first_name.theirs, first_name), (&agreed.last_name.theirs, last_name)];
    let has_name = names.into_iter().filter(|(before, _)| !before.is_empty()).all(|(before, now)| before == now);
    let email_before = EmailKey::new(&agreed.email.theirs);
    let has_email = email_before.is_some() && email_before == EmailKey::new(email);
    let has_phone = !agreed.phone.theirs.is_empty() && agreed.phone.theirs == *phone_number;
    !has_name && !has_email && !has_phone
}

fn both_differ<T: PartialEq>(ours: Option<T>, theirs: Option<T>) -> bool {
    matches!((ours, theirs), (Some(ours), Some(theirs)) if ours != theirs)
}

/// The words of a name, comparable: however its accents, apostrophes and hyphens were typed. `-`
/// stands for none.
fn name(parts: &[&str]) -> Vec<String> {
    let letters = |c: char| match c {
        '‘' | '’' | 'ʼ' | '´' | '`' => Some('\''),
        '\u{200c}' | '\u{200d}' => None,
        c => Some(c),
    };
    let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '‐' | '‑' | '–');
    let comparable = |part: &&str| part.nfc().filter_map(letters).collect::<String>().to_lowercase();
    let words =
        parts.iter().map(comparable).flat_map(|part| part.split(is_between).map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(first: &str, last: &str, email: &str, phone: &str) -> Customer {
        let text = str::to_owned;
        Customer {
            id: CustomerId(7),
            first_name: text(first),
            last_name: text(last),
            email: text(email),
            phone_number: text(phone),
            phone: Phone::new(phone, None).ok(),
            held_by: None,
        }
    }

    #[test]
    fn only_what_both_sides_have_can_contradict() {
        let ada = Projection::of("Ada", "Example", "ada@example.com", "+14155550142");
        let first_only = Projection::of("Ada", "", "ada@example.com", "");
        for (ours, theirs, want) in [
            (&ada, customer("Ada", "Example", "ada@example.com", "+14155550142"), None),
            (&ada, customer("ADA", "example", "Ada@Example.com", "+1 415 555 0142"), None),
            (&ada, customer("Ada", "-", "", ""), None),
            (&ada, customer("", "", "ada@example.com", "-"), None),
            (&ada, customer("Bob", "Example", "ada@example.com", ""), Some("name")),
            (&ada, customer("Ada", "Example", "ada@example.com", "+14155550177"), Some("phone")),
            (&ada, customer("Ada", "Example", "other@example.com", "+14155550142"), Some("e-mail")),
            (&first_only, customer("Ada", "Example", "ada@example.com", "+14155550142"), None),
            (&first_only, customer("Bob", "Example", "ada@example.com", ""), Some("name")),
            (&Projection::of("Zoë", "O’Brien", "", ""), customer("Zoe\u{308}", "O'Brien", "", ""), None),
            (&Projection::of("Jean-Luc", "Example", "", ""), customer("Jean Luc", "example", "", ""), None),
            (&Projection::of("ශ්\u{200d}රී", "", "", ""), customer("ශ්රී", "-", "", ""), None),
            (&Projection::of("Zoe", "O'Brien", "", ""), customer("Zoë", "O'Brien", "", ""), Some("name")),
        ] {
            assert_eq!(contradiction(&theirs, ours), want, "{theirs:?}");
        }
    }

    #[test]
    fn a_name_is_known_in_the_forms_in_which_a_service_may_show_it() {
        for (ours, theirs, is_one) in [
            ("Anna", "Ann", false),
            ("John", "Jo", false),
            ("Anna", "anna", true),
            ("Alexandra", "Alexan", true),
            ("O'Brien", "O&#039;Brien", true),
            ("Ada & Sons", "Ada &amp; Sons", true),
            ("Zoe\u{308}", "Zo\u{eb}", true),
            ("Ada \u{1f389}", "Ada", true),
            ("Anna", "", false),
            ("Anna", "\u{1f389}\u{1f389}\u{1f389}\u{1f389}\u{1f389}\u{1f389}", false),
        ] {
            assert_eq!(is_form_of(ours, theirs), is_one, "{ours} {theirs}");
        }
    }

    #[test]
    fn several_or_taken_customers_are_a_doubt() {
        let ada = Projection::of("Ada", "Example", "ada@example.com", "");
        let same = customer("Ada", "Example", "ada@example.com", "");
        let taken = Customer { held_by: "other".parse().ok(), ..same.clone() };
        assert!(matches!(judge(vec![], "e-mail", &ada), Match::None));
        assert!(matches!(judge(vec![same.clone()], "e-mail", &ada), Match::Unique(_)));
        assert!(matches!(judge(vec![taken], "e-mail", &ada), Match::Ambiguous { customer: Some(_), .. }));
        assert!(matches!(judge(vec![same.clone(), same], "e-mail", &ada), Match::Ambiguous { customer: None, .. }));
    }
}
