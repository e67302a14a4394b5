//! The keeper seen from the runner's side, with real processes throughout.

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod escapes;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod runner_death;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
