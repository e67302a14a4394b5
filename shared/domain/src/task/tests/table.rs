//! The table: every circumstance, state and input, and what comes of it. A missing row fails.

use super::*;

use Epochs::{Current, Future, Stale};
use Outcome::{Moves, Nothing, Refused};
use Refusal::{
    Ended, KeyTaken, NotAStream, NotFound, NotPaused, NotQueued, NotStarted, StaleEpoch, StillActive,
};

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
    CreateClaimed,
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
    Trouble(Epochs),
    StepWell(Epochs),
    StepBadly(Epochs),
    InterruptSolve,
    InterruptExecution,
    Due,
    Pause,
    Resume,
    Break,
    Priority,
    RunLater,
    Start,
    Stop,
    Supersede,
    Delete,
    BodiesRemoved,
}

impl In {
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::CreateAgain,
            Self::CreateClaimed,
            Self::CreateOtherRequest,
            Self::CreateOtherUser,
            Self::Claim,
            Self::InterruptSolve,
            Self::InterruptExecution,
            Self::Due,
            Self::Pause,
            Self::Resume,
            Self::Break,
            Self::Priority,
            Self::RunLater,
            Self::Start,
            Self::Stop,
            Self::Supersede,
            Self::Delete,
            Self::BodiesRemoved,
        ];
        let fenced: [fn(Epochs) -> Self; 11] = [
            Self::Trouble,
            Self::StepWell,
            Self::StepBadly,
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
        let amend = Input::Amend;
        match self {
            Self::CreateAgain => Input::Create(Box::new(fresh())),
            Self::CreateClaimed => {
                Input::CreateClaimed { task: Box::new(fresh()), runner: runner(2), session: session(2) }
            }
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
            Self::Trouble(epochs) => report(epochs, Report::Trouble(Some("it crashed".into()))),
            Self::StepWell(epochs) => report(epochs, Report::Step(step_ending(0, 1, None))),
            Self::StepBadly(epochs) => report(epochs, Report::Step(step_ending(0, 1, Some("exit 1")))),
            Self::Due => Input::Due,
            Self::Pause => amend(Amendment { wish: Some(Wish::Pause), ..Default::default() }),
            Self::Resume => amend(Amendment { wish: Some(Wish::Resume), ..Default::default() }),
            Self::Break => amend(Amendment { wish: Some(Wish::Break), ..Default::default() }),
            Self::Priority => amend(Amendment { priority: Some(1), ..Default::default() }),
            Self::RunLater => {
                amend(Amendment { run_at: Some(NOW.plus_millis(60_000)), ..Default::default() })
            }
            Self::Start => Input::Start(Program { version: "2.0".into(), bundle: "new".into() }),
            Self::Stop => Input::Stop,
            Self::Supersede => Input::Supersede,
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

    /// An interrupt is found on what a runner holds, or held until it ended, and on nothing else.
    pub fn of(self, mut task: Task) -> Task {
        let is_interruptible = task.state.is_active() || task.state.is_terminal();
        match self {
            Self::Plain | Self::ToEndItsSolve | Self::ToEndItsProcess if !is_interruptible => {}
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
type Row = (In, [Outcome; 11]);

const STALE: Outcome = Refused(StaleEpoch);
const GONE: Outcome = Refused(NotFound);
const ENDED: Outcome = Refused(Ended);
const ACTIVE: Outcome = Refused(StillActive);
const TAKEN: Outcome = Refused(KeyTaken);
const BUSY: Outcome = Refused(NotQueued);
const WAITS: Outcome = Refused(NotStarted);
const GOES_ON: Outcome = Refused(NotPaused);
const NO_STREAM: Outcome = Refused(NotAStream);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                          no record          scheduled          queued             assigned           running            paused             stopped            completed          failed             broken             deleted
    (In::CreateAgain,         [Moves(Queued),     Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           GONE]),
    (In::CreateClaimed,       [Moves(Assigned),   Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           GONE]),
    (In::CreateOtherRequest,  [Moves(Queued),     TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             GONE]),
    (In::CreateOtherUser,     [Moves(Queued),     TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             TAKEN,             GONE]),
    (In::Claim,               [GONE,              BUSY,              Moves(Assigned),   BUSY,              BUSY,              BUSY,              BUSY,              ENDED,             ENDED,             ENDED,             GONE]),
    (In::Started(Stale),      [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::Started(Current),    [GONE,              STALE,             STALE,             Moves(Running),    Nothing,           STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Started(Future),     [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::SamePhase(Stale),    [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::SamePhase(Current),  [GONE,              STALE,             STALE,             Nothing,           Nothing,           STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::SamePhase(Future),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::OtherPhase(Stale),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::OtherPhase(Current), [GONE,              STALE,             STALE,             Nothing,           Moves(Running),    STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::OtherPhase(Future),  [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::Trouble(Stale),      [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::Trouble(Current),    [GONE,              STALE,             STALE,             Moves(Assigned),   Moves(Running),    STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Trouble(Future),     [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::StepWell(Stale),     [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::StepWell(Current),   [GONE,              STALE,             STALE,             Nothing,           Nothing,           STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::StepWell(Future),    [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::StepBadly(Stale),    [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::StepBadly(Current),  [GONE,              STALE,             STALE,             Nothing,           Nothing,           STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::StepBadly(Future),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::EndedWell(Stale),    [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::EndedWell(Current),  [GONE,              STALE,             STALE,             Moves(Completed),  Moves(Completed),  STALE,             STALE,             Nothing,           Nothing,           ENDED,             GONE]),
    (In::EndedWell(Future),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::EndedBadly(Stale),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::EndedBadly(Current), [GONE,              STALE,             STALE,             Moves(Failed),     Moves(Failed),     STALE,             STALE,             Nothing,           Nothing,           ENDED,             GONE]),
    (In::EndedBadly(Future),  [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::GivenBack(Stale),    [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::GivenBack(Current),  [GONE,              STALE,             STALE,             Moves(Queued),     Moves(Queued),     STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::GivenBack(Future),   [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             GONE]),
    (In::Release(Stale),      [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Release(Current),    [GONE,              STALE,             STALE,             Moves(Queued),     BUSY,              STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Release(Future),     [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Lost(Stale),         [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Lost(Current),       [GONE,              STALE,             STALE,             Moves(Queued),     Moves(Queued),     STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Lost(Future),        [GONE,              STALE,             STALE,             STALE,             STALE,             STALE,             STALE,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::InterruptSolve,      [GONE,              WAITS,             WAITS,             Moves(Assigned),   Moves(Running),    WAITS,             WAITS,             Nothing,           Nothing,           Nothing,           GONE]),
    (In::InterruptExecution,  [GONE,              WAITS,             WAITS,             Moves(Assigned),   Moves(Running),    WAITS,             WAITS,             Nothing,           Nothing,           Nothing,           GONE]),
    (In::Due,                 [GONE,              Moves(Queued),     Nothing,           Nothing,           Nothing,           Nothing,           Nothing,           ENDED,             ENDED,             ENDED,             GONE]),
    (In::Pause,               [GONE,              Moves(Paused),     Moves(Paused),     Moves(Assigned),   Moves(Running),    Nothing,           WAITS,             ENDED,             ENDED,             ENDED,             GONE]),
    (In::Resume,              [GONE,              GOES_ON,           Nothing,           GOES_ON,           GOES_ON,           Moves(Queued),     GOES_ON,           ENDED,             ENDED,             ENDED,             GONE]),
    (In::Break,               [GONE,              Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     ENDED,             ENDED,             Nothing,           GONE]),
    (In::Priority,            [GONE,              Moves(Scheduled),  Moves(Queued),     Moves(Assigned),   Moves(Running),    Moves(Paused),     Moves(Stopped),    ENDED,             ENDED,             ENDED,             GONE]),
    (In::RunLater,            [GONE,              Moves(Scheduled),  Moves(Scheduled),  ACTIVE,            ACTIVE,            Moves(Paused),     Moves(Stopped),    ENDED,             ENDED,             ENDED,             GONE]),
    (In::Start,               [GONE,              NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         GONE]),
    (In::Stop,                [GONE,              NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         NO_STREAM,         GONE]),
    (In::Supersede,           [GONE,              Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Broken),     Moves(Completed),  Moves(Failed),     Moves(Broken),     GONE]),
    (In::Delete,              [GONE,              Moves(Deleted),    Moves(Deleted),    ACTIVE,            ACTIVE,            Moves(Deleted),    Moves(Deleted),    Moves(Deleted),    Moves(Deleted),    Moves(Deleted),    GONE]),
    (In::BodiesRemoved,       [GONE,              ACTIVE,            ACTIVE,            ACTIVE,            ACTIVE,            ACTIVE,            ACTIVE,            ENDED,             ENDED,             ENDED,             Moves(Deleted)]),
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
    assert_eq!(cases, 5 * 10 * 51);
    for input in In::all() {
        let got = outcome(&transition(None, &input.input(), NOW));
        assert_eq!(got, expected(Circumstance::Plain, None, input), "no record, {input:?}");
    }
    assert_eq!(TABLE.len(), In::all().len(), "a row of the table names no input");
}
