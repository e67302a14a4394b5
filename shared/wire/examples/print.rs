//! Prints the files of broker-config/ that come from this crate: `print topology` or `print permissions`.

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("topology") => print!("{}", wire::topology::print()),
        Some("permissions") => print!("{}", wire::permissions::print(&[])),
        _ => eprintln!("print topology | permissions"),
    }
}
