//! The readers of triggers. The record of the app decides whether there is one: so one who has not yet heard of a new
//! version can neither bring back what it has ended nor end what it has brought.

use domain::stream::is_topic;
use service::body::digest;
use wire::calls::topics::{TopicsReply, TriggerOf};
use wire::topology::{app_key, source_stream};
use wire::{Code, Error};

use crate::Function;

impl Function {
    pub(crate) async fn trigger(&self, of: &TriggerOf) -> Result<TopicsReply, Error> {
        if !is_topic(&of.tenant, &of.subject) {
            return Err(Error::internal(format!("{} is no topic of {}", of.subject, of.tenant)));
        }
        if !self.is_in_force(of).await? {
            let message = format!("app {} has no trigger {} on {}", of.app, of.name, of.subject);
            return Err(Error::new(Code::NotFound, message));
        }
        self.topics.make_source(&of.subject).await?;
        let (reader, what) = (reader(of), format!("creates tasks of app {} by trigger {}", of.app, of.name));
        self.topics.make_trigger(&of.subject, &reader, what).await?;
        Ok(TopicsReply::Reader { stream: source_stream(&of.subject), reader })
    }

    pub(crate) async fn untrigger(&self, of: &TriggerOf) -> Result<TopicsReply, Error> {
        if is_topic(&of.tenant, &of.subject) && !self.is_in_force(of).await? {
            self.topics.remove_trigger(&of.subject, &reader(of)).await?;
        }
        Ok(TopicsReply::Done)
    }

    async fn is_in_force(&self, of: &TriggerOf) -> Result<bool, Error> {
        let found = self.apps.get(&app_key(&of.tenant, &of.app)).await?;
        Ok(found.is_some_and(|(_, app)| app.is_triggered(&of.name, &of.subject)))
    }
}

/// The name of a reader is bounded and an app's name is longer, so it is a digest; the reader's description says whose
/// it is.
fn reader(of: &TriggerOf) -> String {
    format!("trigger_{}", digest(format!("{}\0{}\0{}", of.tenant, of.app, of.name).as_bytes()))
}
