//! Checks a tour against its TSPLIB instance: nothing is taken from the solver but the order of the nodes.

use serde_json::Value;

use crate::stack::examples;

/// A tour that was found right.
#[derive(Debug, PartialEq)]
pub struct Tour {
    /// How many nodes it visits, each once.
    pub nodes: usize,
    /// Its length by TSPLIB's rounding.
    pub length: i64,
    /// The length of the known best tour.
    pub optimum: i64,
}

impl Tour {
    /// How far it is from the optimum.
    pub fn gap_percent(&self) -> f64 {
        (self.length - self.optimum) as f64 * 100.0 / self.optimum as f64
    }
}

/// Checks a response of `routing solve`.
pub fn check(instance: &str, response: &Value) -> Result<Tour, String> {
    let points = points(&text(&format!("data/{instance}.tsp"))?)?;
    let best = order(&text(&format!("data/{instance}.opt.tour"))?);
    let claimed = response.get("length").and_then(Value::as_i64).ok_or("the response names no length")?;
    let tour = response.get("tour").and_then(Value::as_array).ok_or("the response holds no tour")?;
    let tour: Vec<usize> = tour.iter().filter_map(|node| usize::try_from(node.as_u64()?).ok()).collect();
    let length = length(&points, &tour)?;
    if length != claimed {
        return Err(format!("it says {claimed} and measures {length}"));
    }
    Ok(Tour { nodes: points.len(), length, optimum: self::length(&points, &best)? })
}

fn text(path: &str) -> Result<String, String> {
    let bytes = examples::file("routing", path).ok_or_else(|| format!("{path} is not there"))?;
    String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())
}

fn points(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let section = text.split_once("NODE_COORD_SECTION").ok_or("no coordinates")?.1;
    let mut points = Vec::new();
    for line in section.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "EOF" {
            break;
        }
        let mut words = line.split_whitespace().skip(1).map(str::parse::<f64>);
        match (words.next(), words.next()) {
            (Some(Ok(x)), Some(Ok(y))) => points.push((x, y)),
            _ => return Err(format!("'{line}' is no node")),
        }
    }
    Ok(points)
}

fn order(text: &str) -> Vec<usize> {
    let section = text.split_once("TOUR_SECTION").map_or("", |(_, section)| section);
    section.split_whitespace().map_while(|word| word.parse::<usize>().ok()).collect()
}

/// The length of a closed tour of 1-based nodes, or why it is none.
fn length(points: &[(f64, f64)], tour: &[usize]) -> Result<i64, String> {
    let mut seen = vec![false; points.len()];
    let mut along = Vec::with_capacity(tour.len());
    for node in tour {
        let index = node.wrapping_sub(1);
        match (points.get(index), seen.get_mut(index)) {
            (Some(point), Some(seen)) if !*seen => {
                *seen = true;
                along.push(*point);
            }
            (Some(_), _) => return Err(format!("node {node} is visited twice")),
            (None, _) => return Err(format!("there is no node {node}")),
        }
    }
    if along.len() != points.len() {
        return Err(format!("it visits {} of {} nodes", along.len(), points.len()));
    }
    let next = along.iter().cycle().skip(1);
    Ok(along.iter().zip(next).map(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1).round() as i64).sum())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_published_tours_have_the_published_lengths() {
        for (instance, optimum) in [("berlin52", 7542), ("pcb442", 50778)] {
            let points = points(&text(&format!("data/{instance}.tsp")).unwrap()).unwrap();
            let best = order(&text(&format!("data/{instance}.opt.tour")).unwrap());
            assert_eq!(length(&points, &best), Ok(optimum));
        }
    }

    #[test]
    fn a_wrong_tour_is_found_out() {
        let best = order(&text("data/berlin52.opt.tour").unwrap());
        let answer = |tour: &[usize], length: i64| json!({ "tour": tour, "length": length });
        assert!(check("berlin52", &answer(&best, 7542)).is_ok());
        assert!(check("berlin52", &answer(&best, 7541)).is_err());
        assert!(check("berlin52", &answer(&best[1..], 7542)).is_err());
        let mut twice = best.clone();
        twice[1] = twice[0];
        assert!(check("berlin52", &answer(&twice, 7542)).is_err());
        assert!(check("berlin52", &json!({})).is_err());
    }
}
