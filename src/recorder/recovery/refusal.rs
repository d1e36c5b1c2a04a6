//! Recovery says no, in words: what cannot be proved, and where.

use crate::directory::Ground;
use crate::error::{Cause, Error, Result};
use crate::storage::Directory;

use super::scan::Survey;
use super::table::{Break, Ending};

/// An error where the survey found what cannot be proved and loss is not accepted.
pub fn check_refusal(survey: &Survey, wal: &dyn Directory, accept_loss: bool) -> Result<()> {
    if accept_loss {
        return Ok(());
    }
    if survey.origin.row.then.is_refused() {
        return Err(refuse_origin(survey, wal)?);
    }
    if survey.ending.then == Ending::Refuse {
        return Err(refuse_ending(survey, wal));
    }
    Ok(())
}

fn refuse_origin(survey: &Survey, wal: &dyn Directory) -> Result<Error> {
    let label = survey.origin.row.label;
    let active = survey.active_path().display();
    let path = wal.path().display();
    if let Some(error) = &survey.origin.active_error {
        // The system's error stays what it is: nothing was judged to be damaged.
        let cause = error.cause().unwrap_or(Cause::Io);
        return Ok(Error::with_errno(cause, format!("{path}: {label}: {error}"), error.errno()));
    }
    let what = match (survey.origin.ground, &survey.origin.identity) {
        (Ground::OtherDevice, Some(identity)) => format!(
            "the log was on device {} and is on device {} now, and its active directory {active} \
             is waiting with the newest events",
            identity.wal_dev,
            wal.status()?.dev
        ),
        _ if label == "active-directory-unreadable" => format!(
            "the log was not shut down, and its active directory {active} cannot be told to be \
             its own: the wal_identity in it is missing or damaged"
        ),
        _ => format!(
            "the log was not shut down, and its active directory {active} is gone with the newest \
             events"
        ),
    };
    Ok(Error::new(Cause::Corrupt, format!("{path}: {label}: {what}")))
}

fn refuse_ending(survey: &Survey, wal: &dyn Directory) -> Error {
    let index = survey.place.segment_index.unwrap_or(0);
    let lost = survey
        .place
        .event_ids
        .map(|(from, to)| format!("events {from} to {to} were durable and are gone"));
    let active = survey.active_path().display();
    let what = match survey.at {
        Break::Slot => lost.unwrap_or_default(),
        Break::Missing => match lost {
            Some(lost) => format!("it is missing, later ones are there; {lost}"),
            None => "it is missing, later ones are there".to_owned(),
        },
        Break::Misnamed => "the index in its header is another".to_owned(),
        Break::Overlap => "a later segment begins among its events".to_owned(),
        Break::ActiveLost => format!("its file is not in {active}"),
        Break::ActiveContradicts => format!("the files in {active} contradict it"),
    };
    let path = wal.path().display();
    let message = format!("{path}: {}: segment {index}: {what}", survey.ending.label);
    Error::new(Cause::Corrupt, message).at(survey.place)
}
