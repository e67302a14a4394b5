//! What a transition writes into the fields of a record, over every case of the table and one by one.

use crate::fixtures::{EARLIER, RETRY_LIMIT, body, fresh, runner, session};
use crate::id::{Epoch, TaskId};
use crate::payload::{Payload, Place};
use crate::task::hook::{Hook, HookKind, What};
use crate::task::input::{Amendment, Change, Effect, Ending, Input, Program, Refusal, Report, Wish};
use crate::task::state::{Interrupt, InterruptKind, Phase, Runtime, Task, TaskState};
use crate::task::timing::Timing;
use crate::task::transition::transition;
use crate::task::workflow::{StepEnding, Workflow};
use crate::time::Timestamp;

use TaskState::{Assigned, Broken, Completed, Deleted, Failed, Paused, Queued, Running, Scheduled, Stopped};
use table::Epochs::{Current, Future, Stale};
use table::{Circumstance, Epochs, In};

mod table;

const NOW: Timestamp = Timestamp::from_micros(9_000_000);
const EPOCH: Epoch = Epoch(5);

fn epoch(epochs: Epochs) -> Epoch {
    match epochs {
        Stale => Epoch(EPOCH.0 - 1),
        Current => EPOCH,
        Future => EPOCH.next(),
    }
}

fn ending(error: Option<&str>) -> Ending {
    let (result, error) = (Some(body("answer")), error.map(str::to_owned));
    Ending { started_at: Some(EARLIER), session: None, result, return_code: Some(0), error }
}

fn step_ending(step: u32, attempt: u32, error: Option<&str>) -> StepEnding {
    let (output, error) = (Some(body("half an answer")), error.map(str::to_owned));
    StepEnding { step, attempt, started_at: EARLIER, output, return_code: Some(0), error }
}

/// A record in a state, in its fifth claim, with the fields that such a record has.
fn standing(state: TaskState) -> Task {
    let mut task = Task { state, epoch: EPOCH, ..fresh() };
    let was_claimed = state.is_active() || state.is_terminal();
    if was_claimed {
        task.assigned_at = Some(EARLIER);
        (task.runner, task.session) = (Some(runner(1)), Some(session(1)));
    }
    if state == Running || state.is_terminal() {
        task.running_at = Some(EARLIER);
    }
    if state.is_terminal() {
        task.ended_at = Some(EARLIER);
        task.result = Some(body("answer"));
    }
    task
}

/// Calls `see` with every record of the table, every input, and what came of it.
fn for_every_case(mut see: impl FnMut(Circumstance, &Task, In, &Result<Change, Refusal>)) {
    for circumstance in Circumstance::ALL {
        for state in TaskState::ALL {
            let task = circumstance.of(standing(state));
            for input in In::all() {
                see(circumstance, &task, input, &transition(Some(&task), &input.input(), NOW));
            }
        }
    }
}

fn written(task: &Task, input: &Input) -> (Task, Vec<Effect>) {
    match transition(Some(task), input, NOW) {
        Ok(Change::Write(task, effects)) => (*task, effects),
        other => panic!("{input:?} wrote nothing: {other:?}"),
    }
}

#[test]
fn the_epoch_rises_by_a_claim_and_by_nothing_else() {
    for_every_case(|_, task, input, got| {
        if let Ok(Change::Write(next, _)) = got {
            let risen = if input == In::Claim { EPOCH.next() } else { EPOCH };
            assert_eq!(next.epoch, risen, "{:?} {input:?}", task.state);
        }
    });
}

#[test]
fn a_terminal_task_changes_in_nothing_but_that_it_is_superseded_or_deleted() {
    for_every_case(|_, task, input, got| {
        let Ok(Change::Write(next, _)) = got else { return };
        if task.state.is_terminal() {
            let mut only = Task { updated_at: NOW, ..task.clone() };
            let superseded = input == In::Supersede;
            if superseded {
                only.superseded = true;
            } else {
                only.state = Deleted;
            }
            if matches!(input, In::BodiesRemoved | In::Delete) {
                (only.input, only.result) = (Payload::default(), None);
            }
            assert_eq!(**next, only, "{:?} {input:?}", task.state);
        }
    });
}

#[test]
fn what_the_request_said_never_changes() {
    for_every_case(|_, task, input, got| {
        let Ok(Change::Write(next, _)) = got else { return };
        let request = |task: &Task| {
            let (a, b) = (task.key(), task.user.clone());
            let c = (task.app.clone(), task.version.clone(), task.service.clone(), task.bundle.clone());
            (a, b, c, task.lane.clone(), task.created_at, task.request_digest.clone())
        };
        assert_eq!(request(next), request(task), "{:?} {input:?}", task.state);
        let order = |task: &Task| (task.priority, task.position, task.top_of_queue, task.timing.clone());
        if !matches!(input, In::Priority | In::RunLater) {
            assert_eq!(order(next), order(task), "{:?} {input:?}", task.state);
        }
        if !matches!(input, In::BodiesRemoved | In::Delete) {
            assert_eq!(next.input, task.input, "{:?} {input:?}", task.state);
        }
    });
}

#[test]
fn a_result_comes_from_the_report_of_the_end_alone() {
    for_every_case(|_, task, input, got| {
        let Ok(Change::Write(next, _)) = got else { return };
        let is_end = matches!(input, In::EndedWell(Current) | In::EndedBadly(Current));
        if !is_end && !matches!(input, In::BodiesRemoved | In::Delete) {
            assert_eq!((&next.result, next.return_code), (&task.result, task.return_code), "{input:?}");
        }
    });
}

#[test]
fn a_waiting_task_shows_no_runner_and_no_times_of_an_earlier_claim() {
    for_every_case(|_, task, input, got| {
        let Ok(Change::Write(next, _)) = got else { return };
        if next.state == Queued {
            let left = (next.runner, next.session, next.assigned_at, next.running_at, next.ended_at);
            assert_eq!(left, (None, None, None, None, None), "{:?} {input:?}", task.state);
            assert_eq!(next.interrupt, None, "{:?} {input:?}", task.state);
        }
    });
}

#[test]
fn times_are_set_by_the_step_that_they_are_named_after() {
    let (claimed, _) = written(&standing(Queued), &In::Claim.input());
    assert_eq!((claimed.assigned_at, claimed.running_at), (Some(NOW), None));
    assert_eq!((claimed.runner, claimed.session), (Some(runner(2)), Some(session(2))));
    let started_at = Timestamp::from_micros(2_000_000);
    let (started, _) = written(
        &standing(Assigned),
        &Input::Report { epoch: EPOCH, report: Report::Started { at: started_at, session: None } },
    );
    assert_eq!(
        (started.assigned_at, started.running_at, started.ended_at),
        (Some(EARLIER), Some(started_at), None)
    );
    let (ended, _) = written(&started, &In::EndedWell(Current).input());
    assert_eq!((ended.running_at, ended.ended_at), (Some(started_at), Some(NOW)), "the first start counts");
    let (at_once, _) = written(&standing(Assigned), &In::EndedWell(Current).input());
    assert_eq!((at_once.running_at, at_once.ended_at), (Some(EARLIER), Some(NOW)), "no start was reported");
    let (failed, _) = written(&Circumstance::LastLoss.of(standing(Running)), &In::Lost(Current).input());
    assert_eq!((failed.running_at, failed.ended_at), (Some(EARLIER), Some(NOW)));
}

#[test]
fn the_end_is_kept_as_it_was_reported() {
    let (well, _) = written(&standing(Running), &In::EndedWell(Current).input());
    assert_eq!((well.result, well.return_code, well.error), (Some(body("answer")), Some(0), None));
    let (badly, _) = written(&standing(Running), &In::EndedBadly(Current).input());
    assert_eq!((badly.result, badly.error.as_deref()), (Some(body("answer")), Some("exit 1")));
    let solving = Task { phase: Phase::Solving, ..standing(Running) };
    assert_eq!(written(&solving, &In::EndedWell(Current).input()).0.phase, Phase::Running);
}

#[test]
fn a_create_forgets_whatever_the_caller_claimed_about_the_life_of_the_task() {
    let dreamt = Circumstance::ToEndItsSolve.of(standing(Completed));
    let dreamt = Task { losses: 2, error: Some("x".into()), return_code: Some(1), ..dreamt };
    let got = transition(None, &Input::Create(Box::new(dreamt)), NOW);
    let expected = Task { created_at: NOW, updated_at: NOW, ..fresh() };
    assert_eq!(got, Ok(Change::Write(Box::new(expected), Vec::new())));
}

#[test]
fn losses_are_counted_up_to_the_limit_and_a_release_costs_nothing() {
    let mut task = standing(Running);
    for losses in 1..=RETRY_LIMIT {
        (task, _) = written(&task, &Input::Lost { epoch: task.epoch });
        assert_eq!((task.state, task.losses), (Queued, losses));
        (task, _) = written(&task, &In::Claim.input());
        (task, _) = written(&task, &Input::Release { epoch: task.epoch });
        assert_eq!((task.state, task.losses), (Queued, losses));
        (task, _) = written(&task, &In::Claim.input());
        (task, _) = written(&task, &Input::Report { epoch: task.epoch, report: Report::GivenBack });
        assert_eq!((task.state, task.losses), (Queued, losses));
        (task, _) = written(&task, &In::Claim.input());
    }
    (task, _) = written(&task, &Input::Lost { epoch: task.epoch });
    assert_eq!((task.state, task.losses), (Failed, RETRY_LIMIT + 1));
    assert_eq!(task.error.unwrap(), "its runner was lost 4 times; the task may bring runners down");
}

#[test]
fn an_interrupt_is_kept_with_its_time_and_told_to_the_runner_that_holds_the_task() {
    for state in [Assigned, Running] {
        let (solve, effects) = written(&standing(state), &In::InterruptSolve.input());
        assert_eq!(solve.interrupt, Some(Interrupt { kind: InterruptKind::Solve, at: NOW }));
        assert_eq!(effects, [Effect::TellInterrupt(runner(1))]);
        let (execution, effects) = written(&solve, &In::InterruptExecution.input());
        assert_eq!(execution.interrupt.unwrap().kind, InterruptKind::Execution);
        assert_eq!(effects, [Effect::TellInterrupt(runner(1))]);
    }
}

#[test]
fn an_interrupted_task_that_is_lost_or_given_back_fails_and_says_why() {
    let interrupted = |state| Circumstance::ToEndItsSolve.of(standing(state));
    let (lost, _) = written(&interrupted(Running), &In::Lost(Current).input());
    assert_eq!((lost.state, lost.losses), (Failed, 1));
    assert!(lost.error.unwrap().contains("while the task was being interrupted"));
    let (released, _) = written(&interrupted(Assigned), &In::Release(Current).input());
    assert_eq!((released.state, released.losses, released.ended_at), (Failed, 0, Some(NOW)));
    assert!(released.error.unwrap().contains("interrupted"));
}

fn stored(name: &str) -> Payload {
    Payload { content_type: None, size: 1 << 20, place: Place::Object(name.to_owned()) }
}

#[test]
fn a_tombstone_keeps_stored_bodies_until_they_are_removed_and_no_others() {
    for (input, result) in [(true, true), (true, false), (false, true)] {
        let mut task = standing(Completed);
        if input {
            task.input = stored("input");
        }
        if result {
            task.result = Some(stored("result"));
        }
        let (tombstone, effects) = written(&task, &Input::Delete);
        assert_eq!(effects, [Effect::RemoveBodies]);
        assert_eq!(tombstone.input, if input { stored("input") } else { Payload::default() });
        assert_eq!(tombstone.result, result.then(|| stored("result")));
        let (empty, effects) = written(&tombstone, &Input::BodiesRemoved);
        assert_eq!((empty.state, effects), (Deleted, Vec::new()));
        assert_eq!((&empty.input, &empty.result), (&Payload::default(), &None));
        assert_eq!(transition(Some(&empty), &Input::BodiesRemoved, NOW), Ok(Change::Nothing));
    }
    let (tombstone, effects) = written(&standing(Completed), &Input::Delete);
    assert_eq!(
        (&tombstone.input, &tombstone.result),
        (&Payload::default(), &None),
        "they were in the record"
    );
    assert_eq!(effects, []);
}

#[test]
fn only_what_ends_a_claim_asks_for_something_to_be_done_where_no_body_is_stored() {
    for_every_case(|_, task, input, got| {
        let Ok(Change::Write(_, effects)) = got else { return };
        let ends = matches!(input, In::Break | In::Supersede) && task.state.is_active();
        let asks = ends || matches!(input, In::InterruptSolve | In::InterruptExecution);
        assert_eq!(effects.len(), usize::from(asks), "{:?} {input:?}", task.state);
    });
}

#[test]
fn the_session_that_ran_a_task_is_the_one_in_its_record() {
    let warm = session(77);
    let task = Task { state: TaskState::Assigned, epoch: Epoch(1), session: Some(session(1)), ..fresh() };
    let report = |report| Input::Report { epoch: Epoch(1), report };
    let after = |task: &Task, input| match transition(Some(task), &input, EARLIER) {
        Ok(Change::Write(next, _)) => *next,
        other => panic!("{other:?}"),
    };
    let started = after(&task, report(Report::Started { at: EARLIER, session: Some(warm) }));
    assert_eq!(started.session, Some(warm));
    let ending = Ending { started_at: None, session: None, result: None, return_code: Some(0), error: None };
    assert_eq!(after(&started, report(Report::Ended(ending.clone()))).session, Some(warm));
    let ending = Ending { session: Some(warm), ..ending };
    assert_eq!(after(&task, report(Report::Ended(ending))).session, Some(warm), "it ended at once");
}

/// A running workflow of three steps that is tried once more per step.
fn workflow() -> Task {
    let steps = ["one", "two", "three"].map(str::to_owned).to_vec();
    let workflow =
        Workflow { steps, done: 0, failures: 0, output: None, retry_limit: 1, retry_delay_ms: 5_000 };
    Task { workflow: Some(workflow), ..standing(Running) }
}

fn step_report(step: u32, attempt: u32, error: Option<&str>) -> Input {
    Input::Report { epoch: EPOCH, report: Report::Step(step_ending(step, attempt, error)) }
}

#[test]
fn a_workflow_goes_step_by_step_and_its_last_output_is_the_result() {
    let mut task = workflow();
    for done in 1..3 {
        (task, _) = written(&task, &step_report(done - 1, 1, None));
        assert_eq!((task.state, task.workflow.as_ref().unwrap().done), (Running, done));
        let again = transition(Some(&task), &step_report(done - 1, 1, None), NOW);
        assert_eq!(again, Ok(Change::Nothing), "a repeated report counts once");
    }
    assert_eq!(task.workflow.as_ref().unwrap().step(), Some("three"));
    (task, _) = written(&task, &step_report(2, 1, None));
    assert_eq!((task.state, task.result), (Completed, Some(body("half an answer"))));
}

#[test]
fn a_step_is_tried_again_up_to_its_limit_and_each_failure_counts_once() {
    let (once, _) = written(&workflow(), &step_report(0, 1, Some("exit 1")));
    assert_eq!((once.state, once.workflow.as_ref().unwrap().failures), (Running, 1));
    assert_eq!(transition(Some(&once), &step_report(0, 1, Some("exit 1")), NOW), Ok(Change::Nothing));
    let (well, _) = written(&once, &step_report(0, 2, None));
    assert_eq!(well.workflow.as_ref().unwrap().failures, 0, "the next step begins anew");
    let (failed, _) = written(&once, &step_report(0, 2, Some("exit 2")));
    assert_eq!((failed.state, failed.error.as_deref(), failed.ended_at), (Failed, Some("exit 2"), Some(NOW)));
}

#[test]
fn a_task_to_be_paused_ends_its_step_and_goes_on_with_the_next_one() {
    let (wished, _) = written(&workflow(), &In::Pause.input());
    assert!(wished.pause && wished.state == Running);
    let (paused, _) = written(&wished, &step_report(0, 1, None));
    assert_eq!((paused.state, paused.runner, paused.pause), (Paused, None, false));
    let stale = transition(Some(&paused), &step_report(1, 1, None), NOW);
    assert_eq!(stale, Err(Refusal::StaleEpoch), "its runner is out");
    let (resumed, _) = written(&paused, &In::Resume.input());
    assert_eq!((resumed.state, resumed.workflow.unwrap().step()), (Queued, Some("two")));
    let (lost, _) = written(&wished, &In::Lost(Current).input());
    assert_eq!((lost.state, lost.pause), (Paused, false));
    let (on, _) = written(&wished, &In::Resume.input());
    assert_eq!((on.state, on.pause), (Running, false), "the wish is taken back");
}

#[test]
fn an_interrupted_workflow_ends_with_the_step_that_was_running() {
    let interrupted = Circumstance::ToEndItsSolve.of(workflow());
    let (well, _) = written(&interrupted, &step_report(0, 1, None));
    assert_eq!((well.state, well.result), (Completed, Some(body("half an answer"))));
    let (badly, _) = written(&interrupted, &step_report(0, 1, Some("exit 1")));
    assert_eq!(badly.state, Failed);
}

#[test]
fn whoever_is_given_up_is_told_to_the_runner_that_holds_it() {
    for input in [In::Break.input(), Input::Supersede] {
        let (broken, effects) = written(&standing(Running), &input);
        assert_eq!((broken.state, broken.ended_at), (Broken, Some(NOW)));
        assert_eq!(effects, [Effect::TellDrop(runner(1), EPOCH)]);
        assert_eq!(written(&standing(Queued), &input).1, []);
    }
}

#[test]
fn a_task_is_due_when_its_time_has_come_and_never_before() {
    let run_at = NOW.plus_millis(10);
    let timing = Timing { run_at, gate: None, every: None, by_tick: false };
    let request = Task { timing: Some(timing), ..fresh() };
    let Ok(Change::Write(scheduled, _)) = transition(None, &Input::Create(Box::new(request)), NOW) else {
        panic!("a create was refused")
    };
    assert_eq!(scheduled.state, Scheduled);
    assert_eq!(transition(Some(&scheduled), &Input::Due, NOW), Err(Refusal::NotDue));
    let Ok(Change::Write(queued, _)) = transition(Some(&scheduled), &Input::Due, run_at) else {
        panic!("it is due")
    };
    assert_eq!(queued.state, Queued);
}

#[test]
fn a_gate_holds_a_task_back_whatever_its_time() {
    let timing = Timing { run_at: EARLIER, gate: Some("http://a".into()), every: None, by_tick: true };
    let request = Task { timing: Some(timing), ..fresh() };
    let created = transition(None, &Input::Create(Box::new(request)), NOW);
    let Ok(Change::Write(task, _)) = created else { panic!("a create was refused") };
    assert_eq!(task.state, Scheduled);
    let (now, _) =
        written(&standing(Queued), &Input::Amend(Amendment { run_at: Some(EARLIER), ..Default::default() }));
    assert_eq!(now.state, Queued, "a time that has passed holds nothing back");
}

#[test]
fn a_stream_is_started_and_stopped_and_no_loss_ends_it() {
    let stream = |state| Task { runtime: Runtime::Stream, ..standing(state) };
    let created = transition(None, &Input::Create(Box::new(stream(Queued))), NOW);
    assert!(matches!(created, Ok(Change::Write(task, _)) if task.state == Stopped));
    let start = Input::Start(Program { version: "2.0".into(), bundle: "new".into() });
    let started = written(&Task { error: Some("no app".into()), ..stream(Stopped) }, &start).0;
    assert_eq!((started.state, started.error), (Queued, None));
    assert_eq!((started.version.as_str(), started.bundle.as_str()), ("2.0", "new"));
    assert_eq!(transition(Some(&stream(Running)), &start, NOW), Ok(Change::Nothing));
    let (stopped, effects) = written(&stream(Running), &Input::Stop);
    assert_eq!((stopped.state, effects), (Stopped, vec![Effect::TellDrop(runner(1), EPOCH)]));
    assert_eq!(transition(Some(&stopped), &Input::Stop, NOW), Ok(Change::Nothing));
    let lost = Task { losses: 1_000, ..stream(Running) };
    assert_eq!(written(&lost, &In::Lost(Current).input()).0.state, Queued);
    let ended = written(&stream(Running), &In::EndedBadly(Current).input()).0;
    assert_eq!((ended.state, ended.error.as_deref(), ended.runner), (Stopped, Some("exit 1"), None));
    let told = written(&stopped, &Input::NotStarted("no app".into())).0;
    assert_eq!((told.state, told.error.as_deref()), (Stopped, Some("no app")));
    assert_eq!(transition(Some(&stream(Running)), &Input::NotStarted("x".into()), NOW), Ok(Change::Nothing));
}

#[test]
fn a_stream_that_is_described_anew_is_stopped_and_keeps_its_id_and_its_epoch() {
    let stream = |state| Task { runtime: Runtime::Stream, ..standing(state) };
    let new = Task { id: TaskId(uuid::Uuid::nil()), app: "other".into(), ..stream(Queued) };
    for state in [Stopped, Running, Queued] {
        let before = stream(state);
        let (after, effects) = written(&before, &Input::Replace(Box::new(new.clone())));
        assert_eq!((after.state, after.app.as_str(), after.error.clone()), (Stopped, "other", None));
        assert_eq!((after.id, after.epoch), (before.id, before.epoch));
        assert_eq!(effects.len(), usize::from(state == Running));
    }
    let replace = Input::Replace(Box::new(new));
    assert_eq!(transition(Some(&standing(Running)), &replace, NOW), Err(Refusal::NotAStream));
    assert_eq!(transition(Some(&stream(Deleted)), &replace, NOW), Err(Refusal::NotFound));
}

#[test]
fn what_is_to_be_told_is_written_down_with_the_change_and_only_where_somebody_listens() {
    let hook = Hook { kind: HookKind::RestEndpoint, url: "http://127.0.0.1:1".into() };
    let mut task = Task { hooks: vec![hook], state: Assigned, running_at: None, ..workflow() };
    (task, _) = written(&task, &In::Started(Current).input());
    for step in 0..3 {
        (task, _) = written(&task, &step_report(step, 1, None));
    }
    let state = |state| What::State { state, phase: Phase::Running };
    let told: Vec<What> = task.events.kept.iter().map(|event| event.what.clone()).collect();
    let mut expected = vec![state(Running)];
    for step in 0..3 {
        expected.extend([What::StepStarted { step }, What::StepCompleted { step }]);
    }
    expected.push(state(Completed));
    assert_eq!(told, expected);
    assert!(written(&workflow(), &step_report(0, 1, None)).0.events.is_empty());
    assert!(written(&task, &Input::Delete).0.events.is_empty());
}

#[test]
fn a_lost_process_is_a_loss_of_its_task_and_the_last_one_says_why() {
    let task = Task { state: TaskState::Running, epoch: Epoch(1), runner: Some(runner(1)), ..fresh() };
    let lost = Report::ProcessLost { error: "killed".into() };
    let input = Input::Report { epoch: Epoch(1), report: lost };
    let after = |task: &Task| match transition(Some(task), &input, NOW) {
        Ok(Change::Write(next, _)) => *next,
        other => panic!("{other:?}"),
    };
    let again = after(&task);
    assert_eq!((again.state, again.losses, again.runner), (Queued, 1, None));
    let last = after(&Task { losses: RETRY_LIMIT, ..task.clone() });
    assert_eq!((last.state, last.error.as_deref()), (Failed, Some("killed")));
    let interrupt = Some(Interrupt { kind: InterruptKind::Solve, at: NOW });
    assert_eq!(after(&Task { interrupt, ..task }).state, Failed, "it was to end anyway");
}
