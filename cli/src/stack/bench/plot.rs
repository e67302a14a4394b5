//! Plots as SVG, made by hand: a few axes, lines and bars are less than a drawing crate would bring.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Readable on white and on black, and apart for most eyes.
const COLOURS: [&str; 6] = ["#777777", "#1b7f8c", "#d1772c", "#7a52a5", "#4f8a3c", "#b23a5a"];

/// Points of one kind, each with the place on the axis below that it belongs to.
pub struct Series {
    /// What they are.
    pub name: String,
    /// Place and value.
    pub points: Vec<(usize, f64)>,
}

/// A plot over a few named places, with a logarithmic axis for the values.
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What the values are.
    pub values: String,
    /// What the places are.
    pub across: String,
    /// Their names, from left to right.
    pub places: Vec<String>,
    /// What is drawn.
    pub series: Vec<Series>,
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let (least, most) = self.decades();
        let y = |value: f64| {
            let share = (value.max(f64::MIN_POSITIVE).log10() - least) / (most - least).max(1.0);
            HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
        };
        let step = (WIDTH - LEFT - RIGHT) / self.places.len().max(1) as f64;
        let x = |place: usize| LEFT + (place as f64 + 0.5) * step;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             fill=\"#ffffff\"/>\n<text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
            escaped(&self.title)
        );
        let mut power = least;
        while power <= most {
            let (height, value) = (y(10f64.powf(power)), 10f64.powf(power));
            let right = WIDTH - RIGHT;
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{height:.1}\" x2=\"{right}\" y2=\"{height:.1}\" stroke=\"#dddddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                LEFT - 6.0,
                height + 4.0
            );
            power += 1.0;
        }
        for (place, name) in self.places.iter().enumerate() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(place),
                HEIGHT - BOTTOM + 18.0,
                escaped(name)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 10.0,
            escaped(&self.across),
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escaped(&self.values)
        );
        for (index, (series, colour)) in self.series.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
            let points: Vec<(f64, f64)> =
                series.points.iter().map(|(at, value)| (x(*at), y(*value))).collect();
            draw(&mut svg, &points, &series.name, colour, index);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// The powers of ten around all values.
    fn decades(&self) -> (f64, f64) {
        let values = self.series.iter().flat_map(|series| &series.points).map(|(_, value)| *value);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value.log10().floor());
            most = most.max(value.log10().ceil());
        }
        if least.is_finite() { (least, most.max(least + 1.0)) } else { (0.0, 1.0) }
    }
}

fn draw(svg: &mut String, points: &[(f64, f64)], name: &str, colour: &str, index: usize) {
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
        line.join(" ")
    );
    for (x, y) in points {
        let _ = write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
    }
    let (at, height) = (WIDTH - RIGHT + 14.0, TOP + 8.0 + 20.0 * index as f64);
    let _ = writeln!(
        svg,
        "<circle cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        at + 10.0,
        height + 4.0,
        escaped(name)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_values_stand_higher_and_text_is_escaped() {
        let series = Series { name: "a<b".to_owned(), points: vec![(0, 10.0), (1, 1000.0)] };
        let plot = Plot {
            title: "T&T".to_owned(),
            values: "v".to_owned(),
            across: "x".to_owned(),
            places: vec!["one".to_owned(), "two".to_owned()],
            series: vec![series],
        };
        let svg = plot.svg();
        assert!(svg.contains("T&amp;T") && svg.contains("a&lt;b"));
        let line = svg.split("polyline points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<f64> =
            line.split(' ').map(|point| point.split_once(',').unwrap().1.parse().unwrap()).collect();
        assert_eq!(heights.len(), 2);
        assert!(heights[1] < heights[0], "{heights:?}");
        assert_eq!(heights[1], TOP);
    }
}
