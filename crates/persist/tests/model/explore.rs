//! The exploration: every interleaving of the processes, breadth first, so that what is found is shortest.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::rc::Rc;

use xxhash_rust::xxh3::Xxh3Default;

use crate::check::{check_plain, check_reader, check_writer};
use crate::place::{Caller, Came, Kind, Mistake, Place, World};
use crate::process::{Activity, Answer, Expectation, Library, Op, Outcome, Plan, Waits};
use crate::table::Table;

/// What is explored.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub name: &'static str,
    pub kind: Kind,
    pub mistake: Option<Mistake>,
    /// What is done before, one after the other.
    pub before: Vec<Activity>,
    /// What happens at the same time: each process does its activities in order.
    pub processes: Vec<Vec<Activity>>,
    /// How many calls of writers fail; whether they are carried out nevertheless, and when, is open.
    pub failures: u8,
    /// How many processes are killed.
    pub kills: u8,
    /// How often the power fails.
    pub power_failures: u8,
    /// Whether something becomes what it was before, so that a condition on it can be met too late.
    pub returns: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Report {
    pub states: usize,
    pub transitions: usize,
    /// Places at which everything was stopped, and read and written anew.
    pub stops: usize,
    /// How often a disk was left in the window that cannot be closed.
    pub windows: usize,
    /// Different states of single processes.
    pub nodes: usize,
    /// Whether these are all states there are.
    pub complete: bool,
    pub violation: Option<Violation>,
}

#[derive(Debug)]
pub(crate) struct Violation {
    pub what: String,
    /// The steps that lead there.
    pub steps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    world: World,
    processes: Vec<Process>,
    failures: u8,
    kills: u8,
    power_failures: u8,
}

/// One of the processes: where it is, and what its end is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// Which of its activities.
    activity: u8,
    node: u32,
    dead: bool,
    /// Whether it has made a call in this activity.
    started: bool,
    /// Whether the first half of its call is done.
    looked: bool,
    /// Whether another program came while its call was waiting.
    raced: bool,
    /// Whether one of its calls failed.
    pub failed: bool,
    /// How many generations there were when it started.
    pub floor: u8,
    /// How much another program had done when it started.
    pub foreign: u8,
    /// The commit that it makes.
    pub commit: Option<&'static str>,
}

impl Process {
    fn at(library: &Library, node: u32) -> Self {
        let commit = match library.activity_of(node) {
            Activity::Write(plan) => Some(plan.commit),
            _ => None,
        };
        Self {
            activity: 0,
            node,
            dead: false,
            started: false,
            looked: false,
            raced: false,
            failed: false,
            floor: 0,
            foreign: 0,
            commit,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Go(u8),
    /// The call fails; it may still be carried out late.
    Fail(u8),
    /// The call is carried out and fails.
    FailAfter(u8),
    Late(u8),
    Kill(u8),
    PowerFailure(u16),
}

/// Explores at most so many states, the nearest ones.
pub(crate) fn explore(scenario: &Scenario, states_max: usize) -> Report {
    let mut explorer = Explorer::new(scenario, states_max);
    let violation = explorer.run().err();
    Report {
        states: explorer.seen.len(),
        transitions: explorer.transitions,
        stops: explorer.stopped.len(),
        windows: explorer.windows,
        nodes: explorer.library.len(),
        complete: explorer.complete,
        violation,
    }
}

struct Explorer<'a> {
    scenario: &'a Scenario,
    place: Place,
    library: Library,
    /// The first activity of each process, in the library.
    first: Vec<u32>,
    read: u32,
    rescue: u32,
    seen: HashSet<u128>,
    stopped: HashSet<u128>,
    transitions: usize,
    windows: usize,
    states_max: usize,
    complete: bool,
    /// For each state how it was reached.
    came: Vec<(u32, Move)>,
}

/// The process number of whoever is not one of the processes.
const OUTSIDE: u8 = 250;

impl<'a> Explorer<'a> {
    fn new(scenario: &'a Scenario, states_max: usize) -> Self {
        let mut activities = scenario.before.clone();
        let mut first = Vec::new();
        for process in &scenario.processes {
            first.push(activities.len() as u32);
            activities.extend(process.iter().cloned());
        }
        let read = activities.len() as u32;
        // Where another program deletes, the next writer has to be told to go on.
        let replace_lost = activities.iter().any(|activity| matches!(activity, Activity::Meddle(_)));
        let rescue = Plan { commit: "rescue", write: vec!["a"], keep_generations: 1, replace_lost, ..Plan::default() };
        activities.extend([Activity::Read, Activity::Write(rescue)]);
        let place = Place {
            kind: scenario.kind,
            mistake: scenario.mistake,
            power_fails: scenario.power_failures > 0,
            late_steps: scenario.returns && !scenario.kind.is_disk(),
        };
        Self {
            scenario,
            place,
            library: Library::new(scenario.kind.abilities(), activities),
            first,
            read,
            rescue: read + 1,
            seen: HashSet::new(),
            stopped: HashSet::new(),
            transitions: 0,
            windows: 0,
            states_max,
            complete: true,
            came: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Violation> {
        let start = self.start().map_err(|what| Violation { what, steps: vec!["(before)".to_owned()] })?;
        self.seen.insert(fingerprint(&start));
        self.came.push((0, Move::Go(0)));
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((state, at)) = queue.pop_front() {
            if self.seen.len() >= self.states_max {
                self.complete = false;
                return Ok(());
            }
            if let Err(what) = self.stop(&state) {
                return Err(self.violation(what, at, None));
            }
            for step in self.moves(&state) {
                let mut next = state.clone();
                match self.step(&mut next, step) {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(what) => return Err(self.violation(what, at, Some(step))),
                }
                self.transitions += 1;
                if self.seen.insert(fingerprint(&next)) {
                    let number = u32::try_from(self.came.len()).unwrap();
                    self.came.push((at, step));
                    queue.push_back((next, number));
                }
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<State, String> {
        let mut world = World::default();
        for activity in 0..self.scenario.before.len() as u32 {
            self.drive(&mut world, activity)?;
        }
        let Scenario { failures, kills, power_failures, .. } = *self.scenario;
        let processes = self.first.iter().map(|node| Process::at(&self.library, *node)).collect();
        Ok(State { world, processes, failures, kills, power_failures })
    }

    /// What can happen next.
    fn moves(&mut self, state: &State) -> Vec<Move> {
        let mut moves = Vec::new();
        for (i, process) in state.processes.iter().enumerate().filter(|(_, process)| !process.dead) {
            let i = i as u8;
            match self.library.waits(process.node) {
                Waits::Done(_) => continue,
                Waits::Meddling if self.meddling(process).is_none() => continue,
                Waits::Meddling => {}
                Waits::Call(_) => {
                    let writes = matches!(self.library.activity_of(process.node), Activity::Write(_));
                    if state.failures > 0 && writes {
                        moves.push(Move::Fail(i));
                        if self.scenario.kind.is_disk() {
                            moves.push(Move::FailAfter(i));
                        }
                    }
                    if state.kills > 0 && process.started && writes {
                        moves.push(Move::Kill(i));
                    }
                }
            }
            moves.push(Move::Go(i));
        }
        moves.extend((0..state.world.late.len()).map(|n| Move::Late(n as u8)));
        if state.power_failures > 0 {
            let worlds = self.place.after_power_failure(&state.world, &mut self.library.table).len();
            moves.extend((0..worlds).map(|n| Move::PowerFailure(n as u16)));
        }
        moves
    }

    fn meddling(&self, process: &Process) -> Option<crate::process::Meddling> {
        match self.library.activity_of(process.node) {
            Activity::Meddle(steps) => steps.get(usize::from(process.activity)).copied(),
            _ => None,
        }
    }

    /// Makes a step; `false` if it has to wait.
    fn step(&mut self, state: &mut State, step: Move) -> Result<bool, String> {
        match step {
            Move::Go(i) => return self.go(state, i),
            Move::Fail(i) => {
                state.failures -= 1;
                let op = self.begin(state, i);
                if !self.scenario.kind.is_disk() && !matches!(op, Op::List(_) | Op::Read(_)) {
                    state.world.late.push(op);
                }
                state.processes[usize::from(i)].failed = true;
                self.answer(state, i, Answer::Failed)?;
            }
            Move::FailAfter(i) => {
                state.failures -= 1;
                let op = self.begin(state, i);
                let Process { raced, .. } = state.processes[usize::from(i)];
                let caller = Caller { process: i, looked: true, raced };
                if let Came::Waits | Came::Window =
                    self.place.execute(&mut state.world, &mut self.library.table, &op, caller)?
                {
                    return Ok(false);
                }
                state.processes[usize::from(i)].failed = true;
                self.answer(state, i, Answer::Failed)?;
            }
            Move::Late(n) => {
                let op = state.world.late.remove(usize::from(n));
                let caller = Caller { process: OUTSIDE, looked: true, raced: true };
                self.place.execute(&mut state.world, &mut self.library.table, &op, caller)?;
            }
            Move::Kill(i) => {
                state.kills -= 1;
                state.processes[usize::from(i)].dead = true;
                self.settle_dead(state, i);
            }
            Move::PowerFailure(n) => {
                state.power_failures -= 1;
                let mut worlds = self.place.after_power_failure(&state.world, &mut self.library.table);
                state.world = worlds.swap_remove(usize::from(n));
                for i in 0..state.processes.len() {
                    if state.processes[i].started {
                        state.processes[i].dead = true;
                        self.settle_dead(state, i as u8);
                    }
                }
            }
        }
        self.check(state)?;
        Ok(true)
    }

    /// What is known of a dead process does not matter any more.
    fn settle_dead(&mut self, state: &mut State, i: u8) {
        let process = &mut state.processes[usize::from(i)];
        if let Waits::Call(op) = self.library.waits(process.node)
            && !self.scenario.kind.is_disk()
            && !matches!(op, Op::List(_) | Op::Read(_))
        {
            state.world.late.push(op.clone());
        }
        *process = Process { dead: true, ..Process::at(&self.library, 0) };
        if state.world.lock == Some(i) {
            state.world.lock = None;
        }
    }

    /// The call that a process waits for, which it makes now.
    fn begin(&self, state: &mut State, i: u8) -> Op {
        let process = &mut state.processes[usize::from(i)];
        let Waits::Call(op) = self.library.waits(process.node) else { unreachable!("it waits for no call") };
        if !process.started || *op == Op::LookAgain {
            process.started = true;
            process.floor = state.world.made.len() as u8;
            process.foreign = state.world.foreign.len() as u8;
        }
        op.clone()
    }

    fn go(&mut self, state: &mut State, i: u8) -> Result<bool, String> {
        if let Some(step) = self.meddling(&state.processes[usize::from(i)]) {
            self.place.meddle(&mut state.world, &mut self.library.table, step, i);
            state.processes[usize::from(i)].activity += 1;
            state.processes.iter_mut().for_each(|process| process.raced = true);
            self.check(state)?;
            return Ok(true);
        }
        let op = self.begin(state, i);
        let Process { looked, raced, .. } = state.processes[usize::from(i)];
        let caller = Caller { process: i, looked, raced };
        match self.place.execute(&mut state.world, &mut self.library.table, &op, caller)? {
            Came::Waits => return Ok(false),
            Came::Window => {
                self.windows += 1;
                return Ok(false);
            }
            Came::Looked => state.processes[usize::from(i)].looked = true,
            Came::Answer(answer) => self.answer(state, i, answer)?,
        }
        self.check(state)?;
        Ok(true)
    }

    /// Gives a process its answer, judges its end, and lets it begin what it does next.
    fn answer(&mut self, state: &mut State, i: u8, answer: Answer) -> Result<(), String> {
        let process = &mut state.processes[usize::from(i)];
        process.node = self.library.answer(process.node, answer);
        (process.looked, process.raced) = (false, false);
        let Waits::Done(outcome) = self.library.waits(process.node) else { return Ok(()) };
        let outcome = Rc::clone(outcome);
        let process = *process;
        self.judge(&mut state.world, &process, &outcome)?;
        if state.world.lock == Some(i) {
            state.world.lock = None;
        }
        let activity = process.activity + 1;
        let next = usize::from(activity) < self.scenario.processes[usize::from(i)].len();
        // Of what has ended nothing matters any more.
        let node = if next { self.first[usize::from(i)] + u32::from(activity) } else { 0 };
        state.processes[usize::from(i)] = Process { activity, dead: !next, ..Process::at(&self.library, node) };
        Ok(())
    }

    fn judge(&mut self, world: &mut World, process: &Process, outcome: &Outcome) -> Result<(), String> {
        let table = &mut self.library.table;
        match outcome {
            Outcome::Read(result) => check_reader(self.place, world, table, process, result),
            Outcome::Wrote(began, result) => check_writer(self.place, world, table, process, *began, result),
        }
    }

    /// What must hold at every moment.
    fn check(&mut self, state: &State) -> Result<(), String> {
        if state.world.settled { check_plain(self.place, &state.world, &mut self.library.table) } else { Ok(()) }
    }

    /// Stops everything here: a reader sees the newest generation, and the next writer succeeds.
    fn stop(&mut self, state: &State) -> Result<(), String> {
        let mut world = state.world.clone();
        world.lock = None;
        world.late.clear();
        let mut hasher = Xxh3Default::new();
        world.hash(&mut hasher);
        if !self.stopped.insert(hasher.digest128()) {
            return Ok(());
        }
        self.drive(&mut world.clone(), self.read).map_err(|e| format!("all is stopped, and a reader comes: {e}"))?;
        let then = |e: String| format!("all is stopped, and the next writer comes: {e}");
        self.drive(&mut world, self.rescue).map_err(then)?;
        check_plain(self.place, &world, &mut self.library.table).map_err(then)?;
        self.drive(&mut world, self.read).map_err(then)
    }

    /// Does one thing from its beginning to its end, with nobody else there.
    fn drive(&mut self, world: &mut World, activity: u32) -> Result<(), String> {
        let (made, foreign) = (world.made.len() as u8, world.foreign.len() as u8);
        let mut process = Process::at(&self.library, activity);
        (process.started, process.floor, process.foreign) = (true, made, foreign);
        if let Activity::Meddle(steps) = self.library.activity(activity).clone() {
            for step in steps {
                self.place.meddle(world, &mut self.library.table, step, OUTSIDE);
            }
            return Ok(());
        }
        loop {
            let op = match self.library.waits(process.node) {
                Waits::Call(op) => op.clone(),
                Waits::Done(outcome) => {
                    let outcome = Rc::clone(outcome);
                    world.lock = None;
                    self.judge(world, &process, &outcome)?;
                    if let Outcome::Wrote(_, result) = &*outcome
                        && let Err(e) = &**result
                    {
                        return Err(format!("it fails: {e}"));
                    }
                    return Ok(());
                }
                Waits::Meddling => unreachable!("it is a function of ours"),
            };
            let caller = Caller { process: OUTSIDE, looked: process.looked, raced: false };
            match self.place.execute(world, &mut self.library.table, &op, caller)? {
                Came::Looked => process.looked = true,
                Came::Waits | Came::Window => return Err("somebody is at work, and all was stopped".to_owned()),
                Came::Answer(answer) => {
                    process.looked = false;
                    process.node = self.library.answer(process.node, answer);
                }
            }
        }
    }

    /// The steps that led to a state, told by making them again.
    fn violation(&mut self, what: String, at: u32, last: Option<Move>) -> Violation {
        let mut moves: Vec<Move> = last.into_iter().collect();
        let mut at = at;
        while at != 0 {
            let (before, step) = self.came[at as usize];
            moves.push(step);
            at = before;
        }
        let mut steps = Vec::new();
        if let Ok(mut state) = self.start() {
            for step in moves.into_iter().rev() {
                let told = self.tell(&state, step);
                let _ = self.step(&mut state, step);
                steps.push(told);
            }
            for (path, file) in state.world.files.iter() {
                let table = &self.library.table;
                steps.push(format!("  has {} = {}", table.text(*path), table.text(file.content)));
            }
        }
        Violation { what, steps }
    }

    fn tell(&self, state: &State, step: Move) -> String {
        let table = &self.library.table;
        let call = |i: u8| {
            let process = &state.processes[usize::from(i)];
            match self.library.waits(process.node) {
                Waits::Call(op) => tell_op(table, op, process.looked),
                _ => format!("another program: {:?}", self.meddling(process)),
            }
        };
        match step {
            Move::Go(i) => format!("{i}: {}", call(i)),
            Move::Fail(i) => format!("{i}: {} FAILS", call(i)),
            Move::FailAfter(i) => format!("{i}: {} is done and FAILS", call(i)),
            Move::Late(n) => format!("late: {}", tell_op(table, &state.world.late[usize::from(n)], true)),
            Move::Kill(i) => format!("{i} is KILLED before {}", call(i)),
            Move::PowerFailure(n) => format!("POWER FAILURE {n}"),
        }
    }
}

fn tell_op(table: &Table, op: &Op, looked: bool) -> String {
    let text = |id: &u32| table.text(*id);
    let over = |expected: &Expectation| match expected {
        Expectation::Version(version) => text(version).to_owned(),
        other => format!("{other:?}"),
    };
    match op {
        Op::List(folder) => format!("list {folder:?}"),
        Op::Read(path) => format!("read {}", text(path)),
        Op::Write(path, content, _) => format!("write {} = {}", text(path), text(content)),
        Op::Create(path, content, _) => format!("create {} = {}", text(path), text(content)),
        Op::Publish { staged, name, expected } => {
            let half = if looked { "" } else { " (looks)" };
            format!("publish {} as {} over {}{half}", text(staged), text(name), over(expected))
        }
        Op::Delete(path) => format!("delete {}", text(path)),
        Op::Unpublish { name, expected } => format!("unpublish {} if it is {}", text(name), over(expected)),
        Op::Sync => "sync".to_owned(),
        Op::SyncName(path) => format!("sync the name {}", text(path)),
        Op::Lock => "lock".to_owned(),
        Op::LookAgain => "looks again".to_owned(),
    }
}

fn fingerprint(state: &State) -> u128 {
    let mut hasher = Xxh3Default::new();
    state.hash(&mut hasher);
    hasher.digest128()
}
