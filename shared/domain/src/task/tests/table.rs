//! The table: every circumstance, state and input, and what comes of it. A missing row fails.

use super::*;

use Epochs::{Current, Future, Stale};
use Outcome::{Moves, Nothing, Refused};
use Refusal::{Ended, KeyTaken, NotFound, NotQueued, NotStarted, StaleEpoch, StillActive};

/// How the epoch of an input stands to that of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epochs {
    Stale,
    Current,
    Future,
}

/// Every input, as far as the outcome may depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum In {
    CreateAgain,
    CreateOtherRequest,
    CreateOtherUser,
    Claim,
    Started(Epochs),
    SamePhase(Epochs),
    OtherPhase(Epochs),
    EndedWell(Epochs),
    EndedBadly(Epochs),
    GivenBack(Epochs),
    Release(Epochs),
    Lost(Epochs),
    InterruptSolve,
    InterruptExecution,
    Delete,
    BodiesRemoved,
}

impl In {
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::CreateAgain,
            Self::CreateOtherRequest,
            Self::CreateOtherUser,
            Self::Claim,
            Self::InterruptSolve,
            Self::InterruptExecution,
            Self::Delete,
            Self::BodiesRemoved,
        ];
        let fenced: [fn(Epochs) -> Self; 8] = [
            Self::Started,
            Self::SamePhase,
            Self::OtherPhase,
            Self::EndedWell,
            Self::EndedBadly,
            Self::GivenBack,
            Self::Release,
            Self::Lost,
        ];
        all.extend(fenced.iter().flat_map(|input| [Stale, Current, Future].map(input)));
        all
    }

    pub fn input(self) -> Input {
        let report = |epochs, report| Input::Report { epoch: epoch(epochs), report };
        match self {
            Self::CreateAgain => Input::Create(Box::new(fresh())),
            Self::CreateOtherRequest => {
                Input::Create(Box::new(Task { request_digest: "other".into(), ..fresh() }))
            }
            Self::CreateOtherUser => Input::Create(Box::new(Task { user: "bob".into(), ..fresh() })),
            Self::Claim => Input::Claim { runner: runner(2), session: session(2) },
            Self::Started(epochs) => report(epochs, Report::Started { at: EARLIER, session: None }),
            Self::SamePhase(epochs) => report(epochs, Report::Phase(Phase::Running)),
            Self::OtherPhase(epochs) => report(epochs, Report::Phase(Phase::Solving)),
            Self::EndedWell(epochs) => report(epochs, Report::Ended(ending(None))),
            Self::EndedBadly(epochs) => report(epochs, Report::Ended(ending(Some("exit 1")))),
            Self::GivenBack(epochs) => report(epochs, Report::GivenBack),
            Self::Release(epochs) => Input::Release { epoch: epoch(epochs) },
            Self::Lost(epochs) => Input::Lost { epoch: epoch(epochs) },
            Self::InterruptSolve => Input::Interrupt(InterruptKind::Solve),
            Self::InterruptExecution => Input::Interrupt(InterruptKind::Execution),
            Self::Delete => Input::Delete,
            Self::BodiesRemoved => Input::BodiesRemoved,
        }
    }
}

/// What beside the state may change the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circumstance {
    Plain,
    ToEndItsSolve,
    ToEndItsProcess,
    LastLoss,
    WithoutBodies,
}

impl Circumstance {
    pub const ALL: [Self; 5] =
        [Self::Plain, Self::ToEndItsSolve, Self::ToEndItsProcess, Self::LastLoss, Self::WithoutBodies];

    pub fn of(self, mut task: Task) -> Task {
        match self {
            Self::Plain => {}
            Self::ToEndItsSolve => {
                task.interrupt = Some(Interrupt { kind: InterruptKind::Solve, at: EARLIER });
            }
            Self::ToEndItsProcess => {
                task.interrupt = Some(Interrupt { kind: InterruptKind::Execution, at: EARLIER });
            }
            Self::LastLoss => task.losses = RETRY_LIMIT,
            Self::WithoutBodies => (task.input, task.result) = (Payload::default(), None),
        }
        task
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Moves(TaskState),
    Nothing,
    Refused(Refusal),
}

/// No record, then the states in the order of `TaskState::ALL`.
type Row = (In, [Outcome; 7]);

const STALE: Outcome = Refused(StaleEpoch);
const GONE: Outcome = Refused(NotFound);
const ENDED: Outcome = Refused(Ended);
const ACTIVE: Outcome = Refused(StillActive);
const TAKEN: Outcome = Refused(KeyTaken);
const BUSY: Outcome = Refused(NotQueued);
const WAITS: Outcome = Refused(NotStarted);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                       no record      queued          assigned          running           completed       failed          deleted
    (In::CreateAgain,        [Moves(Queued), Nothing,        Nothing,          Nothing,          Nothing,        Nothing,        GONE]),
    (In::CreateOtherRequest, [Moves(Queued), TAKEN,          TAKEN,            TAKEN,            TAKEN,          TAKEN,          GONE]),
    (In::CreateOtherUser,    [Moves(Queued), TAKEN,          TAKEN,            TAKEN,            TAKEN,          TAKEN,          GONE]),
    (In::Claim,              [GONE,          Moves(Assigned), BUSY,            BUSY,             ENDED,          ENDED,          GONE]),
    (In::Started(Stale),     [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::Started(Current),   [GONE,          STALE,          Moves(Running),   Nothing,          ENDED,          ENDED,          GONE]),
    (In::Started(Future),    [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::SamePhase(Stale),   [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::SamePhase(Current), [GONE,          STALE,          Nothing,          Nothing,          ENDED,          ENDED,          GONE]),
    (In::SamePhase(Future),  [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::OtherPhase(Stale),  [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::OtherPhase(Current),[GONE,          STALE,          Nothing,          Moves(Running),   ENDED,          ENDED,          GONE]),
    (In::OtherPhase(Future), [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::EndedWell(Stale),   [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::EndedWell(Current), [GONE,          STALE,          Moves(Completed), Moves(Completed), Nothing,        Nothing,        GONE]),
    (In::EndedWell(Future),  [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::EndedBadly(Stale),  [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::EndedBadly(Current),[GONE,          STALE,          Moves(Failed),    Moves(Failed),    Nothing,        Nothing,        GONE]),
    (In::EndedBadly(Future), [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::GivenBack(Stale),   [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::GivenBack(Current), [GONE,          STALE,          Moves(Queued),    Moves(Queued),    ENDED,          ENDED,          GONE]),
    (In::GivenBack(Future),  [GONE,          STALE,          STALE,            STALE,            STALE,          STALE,          GONE]),
    (In::Release(Stale),     [GONE,          STALE,          STALE,            STALE,            ENDED,          ENDED,          GONE]),
    (In::Release(Current),   [GONE,          STALE,          Moves(Queued),    BUSY,             ENDED,          ENDED,          GONE]),
    (In::Release(Future),    [GONE,          STALE,          STALE,            STALE,            ENDED,          ENDED,          GONE]),
    (In::Lost(Stale),        [GONE,          STALE,          STALE,            STALE,            ENDED,          ENDED,          GONE]),
    (In::Lost(Current),      [GONE,          STALE,          Moves(Queued),    Moves(Queued),    ENDED,          ENDED,          GONE]),
    (In::Lost(Future),       [GONE,          STALE,          STALE,            STALE,            ENDED,          ENDED,          GONE]),
    (In::InterruptSolve,     [GONE,          WAITS,          Moves(Assigned),  Moves(Running),   Nothing,        Nothing,        GONE]),
    (In::InterruptExecution, [GONE,          WAITS,          Moves(Assigned),  Moves(Running),   Nothing,        Nothing,        GONE]),
    (In::Delete,             [GONE,          Moves(Deleted), ACTIVE,           ACTIVE,           Moves(Deleted), Moves(Deleted), GONE]),
    (In::BodiesRemoved,      [GONE,          ACTIVE,         ACTIVE,           ACTIVE,           ENDED,          ENDED,          Moves(Deleted)]),
];

/// Where a circumstance makes a difference to the table.
const EXCEPTIONS: &[(Circumstance, TaskState, In, Outcome)] = &[
    (Circumstance::ToEndItsSolve, Assigned, In::InterruptSolve, Nothing),
    (Circumstance::ToEndItsSolve, Running, In::InterruptSolve, Nothing),
    (Circumstance::ToEndItsProcess, Assigned, In::InterruptSolve, Nothing),
    (Circumstance::ToEndItsProcess, Running, In::InterruptSolve, Nothing),
    (Circumstance::ToEndItsProcess, Assigned, In::InterruptExecution, Nothing),
    (Circumstance::ToEndItsProcess, Running, In::InterruptExecution, Nothing),
    (Circumstance::ToEndItsSolve, Assigned, In::Release(Current), Moves(Failed)),
    (Circumstance::ToEndItsProcess, Assigned, In::Release(Current), Moves(Failed)),
    (Circumstance::ToEndItsSolve, Assigned, In::GivenBack(Current), Moves(Failed)),
    (Circumstance::ToEndItsSolve, Running, In::GivenBack(Current), Moves(Failed)),
    (Circumstance::ToEndItsProcess, Assigned, In::GivenBack(Current), Moves(Failed)),
    (Circumstance::ToEndItsProcess, Running, In::GivenBack(Current), Moves(Failed)),
    (Circumstance::ToEndItsSolve, Assigned, In::Lost(Current), Moves(Failed)),
    (Circumstance::ToEndItsSolve, Running, In::Lost(Current), Moves(Failed)),
    (Circumstance::ToEndItsProcess, Assigned, In::Lost(Current), Moves(Failed)),
    (Circumstance::ToEndItsProcess, Running, In::Lost(Current), Moves(Failed)),
    (Circumstance::LastLoss, Assigned, In::Lost(Current), Moves(Failed)),
    (Circumstance::LastLoss, Running, In::Lost(Current), Moves(Failed)),
    (Circumstance::WithoutBodies, Deleted, In::BodiesRemoved, Nothing),
];

fn outcome(got: &Result<Change, Refusal>) -> Outcome {
    match got {
        Ok(Change::Write(task, _)) => Moves(task.state),
        Ok(Change::Nothing) => Nothing,
        Err(refusal) => Refused(*refusal),
    }
}

fn expected(circumstance: Circumstance, state: Option<TaskState>, input: In) -> Outcome {
    let exception = EXCEPTIONS.iter().find(|row| (row.0, Some(row.1), row.2) == (circumstance, state, input));
    if let Some(exception) = exception {
        return exception.3;
    }
    let rows: Vec<&Row> = TABLE.iter().filter(|row| row.0 == input).collect();
    assert_eq!(rows.len(), 1, "{input:?} needs exactly one row in the table");
    let column = state.map_or(0, |state| 1 + TaskState::ALL.iter().position(|s| *s == state).unwrap());
    rows[0].1[column]
}

#[test]
fn every_input_in_every_state_has_the_outcome_of_the_table() {
    let mut cases = 0;
    for_every_case(|circumstance, task, input, got| {
        let expected = expected(circumstance, Some(task.state), input);
        assert_eq!(outcome(got), expected, "{circumstance:?} {:?} {input:?}", task.state);
        cases += 1;
    });
    assert_eq!(cases, 5 * 6 * 32);
    for input in In::all() {
        let got = outcome(&transition(None, &input.input(), NOW));
        assert_eq!(got, expected(Circumstance::Plain, None, input), "no record, {input:?}");
    }
    assert_eq!(TABLE.len(), In::all().len(), "a row of the table names no input");
}
