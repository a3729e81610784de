//! Writes one customer: the update and the removal, and what is known of it before and after.

use super::project::Projection;
use super::run::{Run, done, snooze};
use super::{Connection, Failure, MissingPolicy, directory};
use crate::clients::trafft::wire::{CustomerPatch, NewCustomer};
use crate::clients::{About, Error, Gone};
use crate::model::{CustomerId, Phone, Status, Verdict};
use crate::store::{self, Agreed, Customer, Decision, Drift, Link, Write};

/// As Trafft names the phone in a refusal: by the key that it reads, or the one that it shows
/// (T §5).
pub(super) const PHONE: [&str; 2] = ["phone", "phone_number"];

impl Run<'_> {
    /// Writes the projection. `shown`: the customer as just read, which differs from the
    /// projection.
    pub(super) async fn update(
        &mut self,
        projection: &Projection,
        shown: Option<Customer>,
    ) -> Result<Verdict, Failure> {
        let Some(customer) = self.contact.link.customer() else {
            return Ok(done(Status::Unchanged, ""));
        };
        self.enter_trafft()?;
        let current = match &shown {
            Some(shown) => Some(shown.clone()),
            None if projection.is_whole() => None,
            None => match self.look(customer).await? {
                Ok(current) => Some(current),
                Err(verdict) => return Ok(verdict),
            },
        };
        let patch = projection.patch(current.as_ref());
        let row = match self.send(customer, &patch).await? {
            Ok(row) => row,
            Err(Error::Gone(gone)) => return self.customer_absent(customer, gone).await,
            Err(error) if error.about() == About::Record && (error.names(&PHONE) || !error.names_any()) => {
                // A phone that Trafft does not take must not keep the rest from it (T §10).
                let current = match self.look(customer).await? {
                    Ok(current) => current,
                    Err(verdict) => return Ok(verdict),
                };
                let spared = CustomerPatch { phone: current.phone_number.clone(), ..patch.clone() };
                if spared.phone == patch.phone {
                    return Ok(self.fail(error));
                }
                let kept = match self.send(customer, &spared).await? {
                    Ok(row) => row,
                    Err(error) => return Ok(self.fail(error)),
                };
                // A refusal that names no field may be a gateway's, and that of one moment: it
                // counts once it is repeated.
                if !error.names(&PHONE) {
                    match self.send(customer, &patch).await? {
                        Ok(row) => {
                            self.written(projection, &row);
                            return Ok(done(Status::Synced, &projection.explain("")));
                        }
                        Err(error) if error.about() == About::Record => {}
                        Err(error) => return Ok(self.fail(error)),
                    }
                }
                self.written(projection, &kept);
                return Ok(done(Status::Synced, "Trafft refused the phone; it keeps its own"));
            }
            Err(error) => return Ok(self.fail(error)),
        };
        self.contact.customer_missing_since = None;
        let now_shown = match &shown {
            // It differed although we had written it. If it shows the same values after this write,
            // they are Trafft's form of ours.
            Some(before) => self.look(customer).await?.ok().filter(|after| same_values(before, after)),
            None => None,
        };
        self.written(projection, now_shown.as_ref().unwrap_or(&row));
        Ok(done(Status::Synced, &projection.explain("")))
    }

    /// Both sides agree on this projection; `shown`: how Trafft shows it.
    pub(super) fn written(&mut self, projection: &Projection, shown: &Customer) {
        if let Link::Linked(linked) = &mut self.contact.link {
            linked.fingerprint = Some(projection.fingerprint());
            linked.agreed = projection.agreed(shown, &linked.agreed);
        }
    }

    /// One PATCH: from just before it until the settle, we do not know what Trafft holds. Returns
    /// what Trafft will show now.
    pub(super) async fn send(
        &mut self,
        customer: CustomerId,
        patch: &CustomerPatch,
    ) -> Result<Result<Customer, Error>, Failure> {
        self.still_linked(customer).await?;
        self.contact.link.distrust();
        self.trafft_calls += 1;
        let answer = self.connection.trafft.update_customer(customer, patch).await;
        if answer == Err(Error::Withdrawn) {
            return Err(store::Error::NotOwner.into());
        }
        self.record("update", Some(customer), &names(patch), answer.as_ref().err()).await?;
        match answer {
            Ok(()) => Ok(Ok(self.index(customer, patch.clone().into()).await?)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Before a write to a customer: a person may have taken it from the contact while HighLevel
    /// was read.
    async fn still_linked(&self, customer: CustomerId) -> Result<(), Failure> {
        self.connection.lease.check()?;
        match self.store.distrust(self.connection.epoch, &self.contact, customer).await? {
            true => Ok(()),
            false => Err(Failure::Overruled),
        }
    }

    /// Looks at the customer itself. A verdict, if Trafft says that it is not there.
    pub(super) async fn look(&mut self, customer: CustomerId) -> Result<Result<Customer, Verdict>, Failure> {
        self.trafft_calls += 1;
        let region = self.locale().await?.region;
        match self.connection.trafft.customer(customer).await {
            Ok(shown) => {
                let current = directory::indexed(&shown, region);
                self.store.index_read(&self.connection.location, &current, self.connection.clock.now()).await?;
                self.contact.customer_missing_since = None;
                Ok(Ok(current))
            }
            Err(Error::Gone(gone)) => Ok(Err(self.customer_absent(customer, gone).await?)),
            // Two whole passes have not shown it, and now it is not there by itself either, in
            // whatever words.
            Err(Error::Refused { status: 404 | 410, .. }) if self.is_unseen(customer) => {
                Ok(Err(self.vanished(customer).await?))
            }
            Err(error) => Err(Failure::Trafft(error)),
        }
    }

    /// Reads a customer that is not this contact's own. What staff changed there concerns its own
    /// contact. If it does not exist, the index forgets it; what is known of this contact's
    /// customer stays.
    pub(super) async fn look_at_another(&mut self, customer: CustomerId) -> Result<(), Failure> {
        self.trafft_calls += 1;
        let region = self.locale().await?.region;
        let location = &self.connection.location;
        let now = self.connection.clock.now();
        match self.connection.trafft.customer(customer).await {
            Ok(shown) => _ = self.store.index_customers(location, &[directory::indexed(&shown, region)], now).await?,
            Err(Error::Gone(_)) => self.store.forget_customer(location, customer, now).await?,
            Err(error) => return Err(Failure::Trafft(error)),
        }
        Ok(())
    }

    /// Have two whole passes not shown the contact's own customer?
    fn is_unseen(&self, customer: CustomerId) -> bool {
        self.contact.drift == Drift::Unseen && self.contact.link.customer() == Some(customer)
    }

    /// Trafft says that there is no such customer. That is believed when it has said so twice, a
    /// settle time apart.
    pub(super) async fn customer_absent(&mut self, customer: CustomerId, _said: Gone) -> Result<Verdict, Failure> {
        let now = self.connection.clock.now();
        let settle = self.connection.policy.settle_time;
        let since = *self.contact.customer_missing_since.get_or_insert(now);
        if !self.is_unseen(customer) && now < since + settle {
            let reason = format!(
                "Trafft says that there is no customer {customer}; it is asked once more before that is believed"
            );
            return Ok(snooze(since + settle, reason));
        }
        self.vanished(customer).await
    }

    /// Staff deleted the customer in Trafft.
    pub(super) async fn vanished(&mut self, customer: CustomerId) -> Result<Verdict, Failure> {
        let gone = self.contact.presence.gone_at().is_some();
        let was_linked = self.contact.link.customer() == Some(customer);
        let decision = match self.connection.policy.missing {
            MissingPolicy::Conflict if !gone && was_linked => Some(Decision::Unlinked),
            _ => None,
        };
        self.unlink(customer, decision).await?;
        self.contact.customer_missing_since = None;
        if !was_linked {
            return Ok(snooze(self.now, format!("customer {customer} is no longer in Trafft; it is looked for anew")));
        }
        self.contact.link = Link::None;
        Ok(match decision {
            None if gone => done(Status::Unchanged, ""),
            Some(_) => Verdict::Conflict {
                reason: format!(
                    "customer {customer} is no longer in Trafft: decide with `contacts create` or `contacts link`"
                ),
                customer: None,
            },
            None => snooze(self.now, format!("customer {customer} is no longer in Trafft; it is made again")),
        })
    }

    /// The contact is gone and its customer goes with it.
    pub(super) async fn remove(&mut self, customer: CustomerId) -> Result<Verdict, Failure> {
        self.enter_trafft()?;
        self.still_linked(customer).await?;
        self.trafft_calls += 1;
        let mut answer = self.connection.trafft.delete_customer(customer).await;
        if answer == Err(Error::Withdrawn) {
            return Err(store::Error::NotOwner.into());
        }
        // Trafft's answer may be lost, or be in words that are not known (T §5.4); or another
        // service answered in its place. The customer itself tells.
        if answer.as_ref().is_err_and(Error::may_have_been_carried_out) {
            self.trafft_calls += 1;
            if let Err(Error::Gone(_)) = self.connection.trafft.customer(customer).await {
                answer = Ok(());
            }
        }
        self.record("delete", Some(customer), "", answer.as_ref().err()).await?;
        answer.map_err(Failure::Trafft)?;
        self.unlink(customer, None).await?;
        self.contact.link = Link::None;
        Ok(done(
            Status::Synced,
            &format!("the contact was deleted in GoHighLevel; customer {customer}, which we had created, too"),
        ))
    }

    pub(super) async fn record(
        &self,
        action: &'static str,
        customer: Option<CustomerId>,
        fields: &str,
        error: Option<&Error>,
    ) -> Result<(), Failure> {
        let result = error.map_or_else(|| "ok".to_owned(), ToString::to_string);
        let write = Write { action, customer, fields, result: &result };
        Ok(self.store.record(&self.contact, &write, self.connection.clock.now()).await?)
    }

    /// What we have just written is what the index should say, in the form in which Trafft shows it
    /// as far as we know.
    pub(super) async fn index(&self, customer: CustomerId, written: Written) -> Result<Customer, Failure> {
        let unknown = Agreed::default();
        let agreed = self.contact.link.linked().map_or(&unknown, |linked| &linked.agreed);
        let phone_number = agreed.phone.shown(&written.phone);
        let row = Customer {
            id: customer,
            first_name: agreed.first_name.shown(&written.first_name),
            last_name: agreed.last_name.shown(&written.last_name),
            email: agreed.email.shown(&written.email),
            phone: Phone::new(&phone_number, self.locale().await?.region).ok(),
            phone_number,
            held_by: None,
        };
        let epoch = self.connection.epoch;
        self.store.index_written(epoch, &self.contact.key, &row, self.connection.clock.now()).await?;
        Ok(row)
    }

    async fn unlink(&self, customer: CustomerId, decision: Option<Decision>) -> Result<(), Failure> {
        let Connection { epoch, clock, .. } = self.connection;
        Ok(self.store.unlink(*epoch, &self.contact.key, customer, decision, clock.now()).await?)
    }
}

fn same_values(one: &Customer, other: &Customer) -> bool {
    let values = |customer: &Customer| {
        let Customer { first_name, last_name, email, phone_number, .. } = customer.clone();
        [first_name, last_name, email, phone_number]
    };
    values(one) == values(other)
}

/// The four fields that the index keeps.
#[derive(Clone)]
pub(super) struct Written {
    first_name: String,
    last_name: String,
    email: String,
    phone: String,
}

impl From<NewCustomer> for Written {
    fn from(new: NewCustomer) -> Self {
        let NewCustomer { first_name, last_name, email, phone, .. } = new;
        Self { first_name, last_name, email: email.unwrap_or_default(), phone: phone.unwrap_or_default() }
    }
}

impl From<CustomerPatch> for Written {
    fn from(patch: CustomerPatch) -> Self {
        let CustomerPatch { first_name, last_name, email, phone, .. } = patch;
        Self { first_name, last_name, email, phone }
    }
}

/// The names of the fields that a body carries; never their values.
pub(super) fn names(body: &impl serde::Serialize) -> String {
    match serde_json::to_value(body) {
        Ok(serde_json::Value::Object(fields)) => fields.keys().cloned().collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}
