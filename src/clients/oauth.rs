//! Carries the `oauth2` crate's requests over our own client.

use std::pin::Pin;
use std::time::Duration;

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, RequestTokenError};
use reqwest::Request;

use super::error::Error;
use super::http::{Answer, Http};
use crate::model::Vendor;

/// A way to one vendor's token endpoint.
pub(super) struct HttpAdapter<'a> {
    pub(super) http: &'a Http,
    pub(super) vendor: Vendor,
    pub(super) operation: &'static str,
    /// For the whole request.
    pub(super) limit: Duration,
    /// What an answer means; none: it holds tokens.
    pub(super) judge: &'a (dyn Fn(&Answer) -> Option<Error> + Sync),
}

impl HttpAdapter<'_> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let read = |answer: Answer| match (self.judge)(&answer) {
            None => Ok(answer),
            Some(error) => Err(error),
        };
        let request = Request::try_from(request).map(|mut request| {
            *request.timeout_mut() = Some(self.limit);
            request
        });
        let answer = self.http.send(self.vendor, self.operation, request, read).await?;
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpAdapter<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// What is left once [`HttpAdapter`] has judged the answer: its own error, or a 2xx that holds no
/// tokens.
pub(super) fn failure<T: oauth2::ErrorResponse>(error: RequestTokenError<Error, T>, no_tokens: Error) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => no_tokens,
    }
}
