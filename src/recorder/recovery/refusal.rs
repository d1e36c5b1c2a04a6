//! The errors with which recovery refuses a log: what cannot be proved, and where.

use crate::error::{Cause, Error, Result};
use crate::storage::Directory;

use super::aside::events_in_cut;
use super::scan::Survey;
use super::table::{Break, Ending};

/// An error where the survey found what cannot be proved and loss is not accepted.
pub fn check_refusal(survey: &Survey, wal: &dyn Directory, accept_loss: bool) -> Result<()> {
    match survey.ending.then {
        _ if accept_loss => Ok(()),
        _ if survey.origin.row.then.is_refused() => Err(refuse_origin(survey, wal)?),
        Ending::Refuse => Err(refuse_ending(survey, wal)?),
        Ending::Whole | Ending::Cut => Ok(()),
    }
}

/// What to do about an older `wal_identity` that hides newer memory.
const REMOVE_IDENTITY: &str =
    "Remove that wal_identity, with active_dir where the memory is: it has a newer one";

fn refuse_origin(survey: &Survey, wal: &dyn Directory) -> Result<Error> {
    let label = survey.origin.row.label;
    let active = survey.active_path().display();
    let path = wal.path().display();
    if let Some(error) = &survey.origin.active_error {
        // An error of the operating system is passed on as it is: nothing was found damaged.
        let cause = error.cause().unwrap_or(Cause::Io);
        return Ok(Error::with_errno(cause, format!("{path}: {label}: {error}"), error.errno()));
    }
    let later = newer_memory(survey);
    let (what, way_out) = match (label, &survey.origin.identity) {
        ("moved", Some(identity)) if identity.wal_ino == wal.status()?.ino => (
            format!(
                "the log was on device {} and is on device {} now, and its active directory \
                 {active} is waiting with the newest events",
                identity.wal_dev,
                wal.status()?.dev
            ),
            "Mount it as it was",
        ),
        ("moved", _) => (
            format!(
                "the log was moved, or copied and then removed, before it was opened again, and \
                 its active directory {active} is waiting with the newest events"
            ),
            "Open the log where it was",
        ),
        ("active-directory-unreadable", _) => (
            format!(
                "the log was not shut down, and its active directory {active} cannot be told to \
                 be its own: the wal_identity in it is missing or damaged"
            ),
            "Restore that",
        ),
        _ if later.is_some() => (later.unwrap_or_default(), REMOVE_IDENTITY),
        _ => (
            format!(
                "the log was not shut down, and its active directory {active}, which may have \
                 held the newest events, is gone; a container's /dev/shm lasts no longer than the \
                 container"
            ),
            "Put it back, or name the directory that it is in now as active_dir",
        ),
    };
    let last = survey.log.last_event_id;
    let cost = format!(
        "{way_out}, or open with FS_WAL_FLAG_ACCEPT_LOSS: the log then ends at \
         event {last}, the last one proved on disk, and what was appended after it is lost"
    );
    Ok(Error::new(Cause::Corrupt, format!("{path}: {label}: {what}. {cost}")))
}

/// Where memory of later generations waits, with events that the log does not have.
fn newer_memory(survey: &Survey) -> Option<String> {
    let later = survey.log.later_active.iter().map(|later| later.path().display().to_string());
    survey.needs_later_memory().then(|| {
        let paths = later.collect::<Vec<_>>().join(" and ");
        format!("an older wal_identity was put back: newer events of the log are in {paths}")
    })
}

fn refuse_ending(survey: &Survey, wal: &dyn Directory) -> Result<Error> {
    let place = survey.log.place();
    let which = place.segment_index.map(|index| format!("segment {index}"));
    let which = which.unwrap_or_else(|| "no segment is there".to_owned());
    let lost = place
        .event_ids
        .map(|(from, to)| format!("events {from} to {to} were durable and cannot be proved"));
    let active = survey.active_path().display();
    let missing = "it is missing, later ones are there";
    let later = newer_memory(survey);
    let what = match (survey.log.at, lost) {
        (Break::Slot, Some(lost)) if place.segment_index.is_some() && place.offset.is_none() => {
            format!("it is missing; {lost}")
        }
        (Break::Slot, lost) => lost.unwrap_or_default(),
        (Break::Missing, Some(lost)) => format!("{missing}; {lost}"),
        (Break::Missing, None) => missing.to_owned(),
        (Break::Misnamed, _) => "the index in its header is another".to_owned(),
        (Break::Overlap, _) => "a later segment begins among its events".to_owned(),
        (Break::Unclosed, _) => {
            "it is neither closed nor full, though later ones are there: it was \
                                 copied while it was written"
                .to_owned()
        }
        (Break::BeyondShutdown, _) if later.is_some() => later.unwrap_or_default(),
        (Break::BeyondShutdown, _) => "it has events behind those that wal_meta.dat says the log \
                                       was shut down with: an older state was copied over a \
                                       newer one"
            .to_owned(),
        (Break::ActiveLost, _) => {
            format!("it is not whole on disk, and its file is not in {active}")
        }
        (Break::ActiveContradicts, _) => format!("the files in {active} contradict it"),
    };
    let path = wal.path().display();
    let last = survey.log.last_event_id;
    let mut aside = survey.log.events_beyond;
    if survey.log.at == Break::ActiveContradicts {
        let beyond = survey.log.active_beyond.iter();
        aside += beyond.map(|active| u64::from(active.events)).sum::<u64>();
    }
    for index in survey.log.cut.indexes() {
        aside += u64::from(events_in_cut(wal, survey, index)?);
    }
    let way_out = match survey.needs_later_memory() {
        true => REMOVE_IDENTITY,
        false => "Restore the files from a copy",
    };
    let cost = format!(
        "{way_out}, or open with FS_WAL_FLAG_ACCEPT_LOSS: the log then ends at event {last}, and \
         what is found behind it ({aside} events) is kept aside in *.corrupt"
    );
    let message = format!("{path}: {}: {which}: {what}. {cost}", survey.ending.label);
    Ok(Error::new(Cause::Corrupt, message).at(place))
}
