//! The types of a service, as its own server tells of them: asked for as the call is made, with its
//! credentials and over the same connections.

use std::time::Duration;

use prost_reflect::MethodDescriptor;
use tokio::time::Instant;
use tonic::Code;
use windlass_proto::id::Digest;
use windlass_proto::limits;
use windlass_proto::plan::GrpcCall;
use windlass_proto::problem::{Problem, Standard};
use zeroize::Zeroizing;

use super::status::{http, word};
use super::{Place, Target, compiling, configuration, full, method};
use crate::attempt::Attempt;
use crate::authentication::Authorization;
use crate::protobuf::{Gathering, Question, Refused, services};
use crate::request::excerpt;
use crate::seal::Seal;

/// The names of the service that tells of others, the one that is asked first, first.
const VERSIONS: [&str; 2] = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/// One server that is asked.
struct Asked<'c> {
    place: &'c Place,
    /// Which of [`VERSIONS`] it speaks, as far as is known.
    version: usize,
}

impl Asked<'_> {
    fn target(&self) -> Target {
        let name = format!("{}.ServerReflection/ServerReflectionInfo", VERSIONS[self.version]);
        Target { place: self.place.clone(), name, is_stream: true }
    }

    /// What is wrong with what it answers.
    fn unusable(&self, why: &str, seal: &Seal) -> Problem {
        // Sealed before it is cut: half of a secret would not be recognised.
        let why = excerpt(seal.text(why).as_bytes());
        configuration(format!(
            "what {} tells cannot be used: {why}; give the service's .proto file in \
             `proto.endpoint` instead",
            self.target().shown()
        ))
    }

    fn refused(&self, refused: &Refused, seal: &Seal) -> Problem {
        let (code, what) = (Code::from_i32(refused.code), self.target().shown());
        let (word, why) = (word(code), excerpt(seal.text(&refused.message).as_bytes()));
        let detail = format!("{what} answered {word} (code {}): {why}", refused.code);
        Problem::new(Standard::Communication, detail).with_status(http(code))
    }
}

impl Attempt<'_> {
    /// The method of `call`, as the server tells of it.
    pub(super) async fn reflected(
        &mut self,
        call: &GrpcCall,
        place: &Place,
        authorization: &mut Option<Authorization>,
    ) -> Result<MethodDescriptor, Problem> {
        let key = key(call, place, authorization.as_ref())?;
        // One that lacks what is called now may be of an older version of the server.
        if let Some(kept) = self.worker.reflected.get(&key)
            && let Ok(method) = method(&call.service, &call.method, &kept, "it")
        {
            return Ok(method);
        }
        let mut asked = Asked { place, version: 0 };
        let gathering = self.gather_reflected(&call.service, &mut asked, authorization).await?;
        let weight = gathering.bytes();
        let pool = compiling(move || gathering.pool())
            .await?
            .map_err(|it| asked.unusable(&it, &self.seal))?;
        let teller = format!("the server at {}", place.shown());
        let method = method(&call.service, &call.method, &pool, &teller)?;
        let until = Instant::now() + Duration::from_millis(limits::REFLECTED_MS);
        self.worker.reflected.put_weighing(key, pool, until, weight);
        Ok(method)
    }

    /// The file of the service, and all that it needs.
    async fn gather_reflected(
        &mut self,
        service: &str,
        asked: &mut Asked<'_>,
        authorization: &mut Option<Authorization>,
    ) -> Result<Gathering, Problem> {
        let mut gathering = Gathering::new();
        let mut questions = vec![Question::Symbol(service.to_owned())];
        for round in 0..limits::REFLECTION_ROUNDS {
            let answers = self.ask_reflection(&questions, asked, authorization).await?;
            let taken = compiling(move || {
                let mut refused = Vec::new();
                for (question, answer) in questions.into_iter().zip(answers) {
                    if let Err(why) = gathering.take(&question, &answer)? {
                        refused.push(why);
                    }
                }
                Ok((gathering, refused))
            });
            let refused;
            (gathering, refused) =
                taken.await?.map_err(|why: String| asked.unusable(&why, &self.seal))?;
            questions = match refused.iter().find(|it| it.code != Code::NotFound as i32) {
                Some(other) => return Err(asked.refused(other, &self.seal)),
                // A name without its package is no symbol.
                None if round == 0 && !refused.is_empty() => {
                    vec![Question::Symbol(self.full_name(service, asked, authorization).await?)]
                }
                None => gathering.questions().map_err(|why| asked.unusable(&why, &self.seal))?,
            };
            if questions.is_empty() {
                return Ok(gathering);
            }
        }
        let most = limits::REFLECTION_ROUNDS;
        let why = format!("its files import one another over more than {most} steps");
        Err(asked.unusable(&why, &self.seal))
    }

    /// The full name of a service that the server knows by no symbol.
    async fn full_name(
        &mut self,
        service: &str,
        asked: &mut Asked<'_>,
        authorization: &mut Option<Authorization>,
    ) -> Result<String, Problem> {
        let answers = self
            .ask_reflection(&[Question::Services("*".to_owned())], asked, authorization)
            .await?;
        let told = answers.first().map(|it| services(it)).unwrap_or_else(|| Ok(Ok(Vec::new())));
        let names = told
            .map_err(|why| asked.unusable(&why, &self.seal))?
            .map_err(|it| asked.refused(&it, &self.seal))?;
        // A program's own services are a few: more are only there to be counted.
        let names = names.into_iter().take(limits::GRPC_SERVICES);
        let names = names.map(|it| excerpt(self.seal.text(&it).as_bytes()));
        full(service, names.collect(), &format!("the server at {}", asked.place.shown()))
    }

    /// The answers to `questions`, one for each.
    async fn ask_reflection(
        &mut self,
        questions: &[Question],
        asked: &mut Asked<'_>,
        authorization: &mut Option<Authorization>,
    ) -> Result<Vec<bytes::Bytes>, Problem> {
        loop {
            let target = asked.target();
            let requests = questions.iter().map(Question::request).collect();
            match self.grpc_exchange(&target, authorization, requests).await? {
                Ok(answers) if answers.len() == questions.len() => return Ok(answers),
                Ok(answers) => {
                    let (told, of) = (answers.len(), questions.len());
                    let why = format!("it answered {told} of {of} questions");
                    return Err(asked.unusable(&why, &self.seal));
                }
                Err(failure) if !failure.is(Code::Unimplemented) => {
                    return Err(self.grpc_problem(&target, &failure));
                }
                Err(_) if asked.version + 1 < VERSIONS.len() => asked.version += 1,
                Err(_) => return Err(not_offered(asked.place)),
            }
        }
    }
}

fn not_offered(place: &Place) -> Problem {
    configuration(format!(
        "the server at {} offers no reflection (neither {}): register it there, or give the \
         service's .proto file in `proto.endpoint`",
        place.shown(),
        VERSIONS.join(" nor ")
    ))
}

/// By what the types are kept: servers may tell different callers of different services.
fn key(
    call: &GrpcCall,
    place: &Place,
    authorization: Option<&Authorization>,
) -> Result<Digest, Problem> {
    let header = authorization.map(Authorization::header).transpose()?.flatten();
    let header = header.as_ref().map(|it| it.as_bytes()).unwrap_or_default();
    let identity = authorization.and_then(|it| it.identity(&place.url)).map(|it| it.digest());
    let identity = identity.map(|it| it.to_string()).unwrap_or_default();
    let header = Zeroizing::new(String::from_utf8_lossy(header).into_owned());
    let (url, service) = (&place.url, &call.service);
    Ok(Digest::of(&Zeroizing::new(format!("{url}\n{service}\n{identity}\n{}", *header))))
}
