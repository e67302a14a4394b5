//! The users: they create tasks and repeat that until it is acknowledged, interrupt and delete at random.

use domain::payload::{Payload, Place};
use domain::task::hook::Events;
use domain::task::input::{Amendment, Input, Wish};
use domain::task::state::{InterruptKind, Origin, POSITION_DEFAULT, Phase, Runtime};
use domain::task::timing::Timing;
use domain::{Epoch, Task, TaskId, TaskKey, TaskState};

use crate::functions::{Asker, Operation};
use crate::world::{Event, HEAL_AT, LANES, World, short};

const REQUESTS_MAX: usize = 12;
/// The service of a task that runs until it is interrupted.
pub const ENDLESS: &str = "endless";

/// One request for a task; it keeps its id through every repetition.
pub struct Request {
    task: Task,
    pub acknowledged: bool,
}

#[derive(Debug, Clone)]
pub enum ToUser {
    /// Do something.
    Act,
    /// The create of this request was acknowledged.
    Answer(usize),
    /// Ask again if there was no answer to this request yet.
    AskAgain(usize),
    /// After the faults: interrupt what would run forever.
    EndTheEndless,
}

impl World {
    pub fn user_hears(&mut self, message: ToUser) {
        match message {
            ToUser::Act => {
                self.act();
                if self.now < HEAL_AT {
                    let pause = self.random.between(50, 700);
                    self.after(pause, Event::User(ToUser::Act));
                }
            }
            ToUser::Answer(request) => {
                self.requests[request].acknowledged = true;
                let key = self.requests[request].task.key();
                self.check.acknowledged(key);
            }
            ToUser::AskAgain(request) => {
                if !self.requests[request].acknowledged {
                    self.ask_for(request);
                }
            }
            ToUser::EndTheEndless => self.end_the_endless(),
        }
    }

    fn act(&mut self) {
        match self.random.below(12) {
            0..=4 if self.requests.len() < REQUESTS_MAX => {
                let task = self.draw_task();
                self.requests.push(Request { task, acknowledged: false });
                self.ask_for(self.requests.len() - 1);
            }
            5 => self.repeat_a_create(),
            6..=7 => {
                let kind = self.random.pick(&[InterruptKind::Solve, InterruptKind::Execution]);
                self.ask_about_any(Input::Interrupt(kind));
            }
            8 => self.ask_about_any(Input::Delete),
            9 => {
                let wish = Some(self.random.pick(&[Wish::Pause, Wish::Pause, Wish::Resume, Wish::Break]));
                self.ask_about_any(Input::Amend(Amendment { wish, ..Amendment::default() }));
            }
            10 => self.ask_about_any(Input::Supersede),
            _ => self.send_another_request_under_the_same_id(),
        }
    }

    /// Sends a create, and sends it again until there is an answer.
    fn ask_for(&mut self, request: usize) {
        let task = self.requests[request].task.clone();
        let asker = Asker::User(request);
        self.send(Event::Asked(Operation::new(task.key(), Input::Create(Box::new(task)), asker)));
        self.after(1_000, Event::User(ToUser::AskAgain(request)));
    }

    fn repeat_a_create(&mut self) {
        if let Some(request) = self.any_request() {
            self.check.saw("a create was repeated");
            self.ask_for(request);
        }
    }

    fn send_another_request_under_the_same_id(&mut self) {
        let Some(request) = self.any_request().filter(|request| self.requests[*request].acknowledged) else {
            return;
        };
        let task = Task { request_digest: "another".into(), ..self.requests[request].task.clone() };
        let input = Input::Create(Box::new(task.clone()));
        self.send(Event::Asked(Operation::new(task.key(), input, Asker::OtherUser)));
    }

    fn ask_about_any(&mut self, input: Input) {
        if let Some(request) = self.any_request() {
            let key = self.requests[request].task.key();
            self.note(|_| format!("a user wants {input:?} for {}", short(&key)));
            self.send(Event::Asked(Operation::new(key, input.clone(), Asker::Nobody)));
        }
    }

    fn any_request(&mut self) -> Option<usize> {
        let many = self.requests.len() as u64;
        (many > 0).then(|| self.random.below(many) as usize)
    }

    fn end_the_endless(&mut self) {
        let endless = |task: &&Task| task.service == ENDLESS && !task.state.is_terminal();
        let keys: Vec<TaskKey> =
            self.store.all().map(|(_, task)| task).filter(endless).map(Task::key).collect();
        let paused = |task: &&Task| task.state == TaskState::Paused || task.pause;
        let held_back: Vec<TaskKey> =
            self.store.all().map(|(_, task)| task).filter(paused).map(Task::key).collect();
        let on = Amendment { wish: Some(Wish::Resume), ..Amendment::default() };
        let end = keys.into_iter().map(|key| (key, Input::Interrupt(InterruptKind::Execution)));
        let resume = held_back.into_iter().map(|key| (key, Input::Amend(on.clone())));
        for (key, input) in end.chain(resume).collect::<Vec<_>>() {
            self.after(1, Event::Asked(Operation::new(key, input, Asker::Nobody)));
        }
        self.after(500, Event::User(ToUser::EndTheEndless));
    }

    fn draw_task(&mut self) -> Task {
        let in_a_while = self.time().plus_millis(self.random.between(1, 3_000) as i64);
        let random = &mut self.random;
        let timing = Timing { run_at: in_a_while, gate: None, every: None, by_tick: false };
        let timing = random.chance(200).then_some(timing);
        let number = self.requests.len();
        let size = random.pick(&[5, 5_000, 50_000]);
        let place = match size {
            50_000 => Place::Object(format!("body {number}")),
            _ => Place::Text("a body".into()),
        };
        Task {
            id: TaskId(random.id()),
            run: 0,
            number: None,
            origin: Origin::Tasks,
            name: None,
            tenant: random.pick(&["red", "blue"]).into(),
            user: "ann".into(),
            app: "app".into(),
            version: "1.0".into(),
            service: if random.chance(150) { ENDLESS } else { "short" }.into(),
            runtime: Runtime::Command,
            bundle: "bundle".into(),
            lane: random.pick(&LANES).into(),
            priority: random.between(1, 10) as u8,
            top_of_queue: random.chance(100),
            position: POSITION_DEFAULT,
            state: TaskState::Queued,
            phase: Phase::Running,
            epoch: Epoch(0),
            losses: 0,
            retry_limit: random.below(4) as u32,
            created_at: Default::default(),
            updated_at: Default::default(),
            timing,
            workflow: None,
            hooks: Vec::new(),
            events: Events::default(),
            pause: false,
            superseded: false,
            assigned_at: None,
            running_at: None,
            ended_at: None,
            runner: None,
            session: None,
            interrupt: None,
            input: Payload { content_type: None, size, place },
            result: None,
            return_code: None,
            error: None,
            request_digest: format!("request {number}"),
        }
    }
}
