//! Where the boxes and arrows of a picture stand.
//!
//! Owns: sizes and the call of the layout, which is behind one function. Must not: know what is in the boxes, or write
//! markup.

use std::fmt::Write as _;

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir, layout};
use serde::Serialize;

use super::super::flows::{Edge, Picture};
use crate::policy::model::Verdict;

const BOX_HEIGHT: f64 = 44.0;
/// Room above a box, for an arrow that goes back to it.
const LOOP_HEIGHT: f64 = 30.0;
/// Of one character of a name, and of a label.
const NAME_WIDTH: f64 = 7.4;
const LABEL_WIDTH: f64 = 6.4;
const LABEL_HEIGHT: f64 = 16.0;
const MARGIN: f64 = 12.0;

/// A picture, ready to be written.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) boxes: Vec<Placed>,
    pub(super) arrows: Vec<Arrow>,
}

/// A box, by its upper left corner.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Placed {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The middle, where text stands.
    pub(super) middle: f64,
    pub(super) name_y: f64,
    pub(super) about_y: f64,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) worst: &'static str,
}

/// An arrow with its label.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Arrow {
    /// As SVG has it.
    pub(super) path: String,
    pub(super) verdict: &'static str,
    pub(super) label: String,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
}

/// Lays a picture out, from outside on the left to inside on the right.
pub(super) fn draw(picture: &Picture) -> Drawing {
    let width = |edge: &Edge| letters(&label(edge)) * LABEL_WIDTH + 8.0;
    let mut graph: Graph<NodeLabel, EdgeLabel> =
        Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
    for (at, node) in picture.nodes.iter().enumerate() {
        let letters = letters(&node.name).max(letters(&node.about)).max(8.0);
        let size =
            NodeLabel { width: letters * NAME_WIDTH + 20.0, height: BOX_HEIGHT + LOOP_HEIGHT, ..NodeLabel::default() };
        graph.set_node(at.to_string(), Some(size));
    }
    for (at, edge) in picture.edges.iter().enumerate().filter(|(_, edge)| edge.from != edge.to) {
        // Boxes stand from outside to inside, whichever way the arrow points.
        let (first, last) = (edge.from.min(edge.to), edge.from.max(edge.to));
        let size = EdgeLabel { width: width(edge), height: LABEL_HEIGHT, ..EdgeLabel::default() };
        graph.set_edge(first.to_string(), last.to_string(), Some(size), Some(&at.to_string()));
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 14.0,
        edgesep: 12.0,
        ranksep: 30.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    layout(&mut graph, Some(options));
    let boxes: Vec<Placed> = picture
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let known = graph.node(&at.to_string());
            let of = |number: fn(&NodeLabel) -> Option<f64>| known.and_then(number).unwrap_or_default();
            let (x, y, width) = (of(|node| node.x), of(|node| node.y) + LOOP_HEIGHT / 2.0, of(|node| Some(node.width)));
            Placed {
                x: round(x - width / 2.0),
                y: round(y - BOX_HEIGHT / 2.0),
                width: round(width),
                height: BOX_HEIGHT,
                middle: round(x),
                name_y: round(y - 3.0),
                about_y: round(y + 13.0),
                name: node.name.clone(),
                about: node.about.clone(),
                worst: node.worst.word(),
            }
        })
        .collect();
    let arrows: Vec<Arrow> = picture
        .edges
        .iter()
        .enumerate()
        .filter_map(|(at, edge)| {
            let (path, x, y) = if edge.from == edge.to {
                around(boxes.get(edge.from)?)
            } else {
                let (first, last) = (edge.from.min(edge.to).to_string(), edge.from.max(edge.to).to_string());
                let found = graph.edge(&first, &last, Some(&at.to_string()))?;
                let mut points: Vec<(f64, f64)> = found.points.iter().map(|point| (point.x, point.y)).collect();
                if edge.from > edge.to {
                    points.reverse();
                }
                let [start, .., end] = points.as_mut_slice() else { return None };
                (*start, *end) = (meet(boxes.get(edge.from)?, *start), meet(boxes.get(edge.to)?, *end));
                (line(&points), found.x.unwrap_or_default(), found.y.unwrap_or_default())
            };
            let width = width(edge);
            Some(Arrow {
                path,
                verdict: edge.verdict.word(),
                label: label(edge),
                x: round(x),
                y: round(y + 4.0),
                left: round(x - width / 2.0),
                top: round(y - LABEL_HEIGHT / 2.0),
                width: round(width),
            })
        })
        .collect();
    // What stands farthest out decides, labels and arrows that go back to their box among it.
    let right = boxes.iter().map(|placed| placed.x + placed.width);
    let right = right.chain(arrows.iter().map(|arrow| arrow.left + arrow.width)).fold(0.0, f64::max);
    let bottom = boxes.iter().map(|placed| placed.y + placed.height);
    let bottom = bottom.chain(arrows.iter().map(|arrow| arrow.top + LABEL_HEIGHT)).fold(0.0, f64::max);
    Drawing { width: round(right + MARGIN), height: round(bottom + MARGIN), boxes, arrows }
}

/// The word of the verdict where it is not plainly allowed: colour is never the only carrier.
fn label(edge: &Edge) -> String {
    match edge.verdict {
        Verdict::Allow => edge.ports.clone(),
        verdict => format!("{}: {}", verdict.word(), edge.ports),
    }
}

/// The end of an arrow on the side of a box, where the box is lower than what was laid out.
fn meet(placed: &Placed, (x, y): (f64, f64)) -> (f64, f64) {
    let side = if x < placed.middle { placed.x } else { placed.x + placed.width };
    (side, y.clamp(placed.y + 6.0, placed.y + placed.height - 6.0))
}

/// An arrow from a box to itself, above it; its path, and where the label stands.
fn around(placed: &Placed) -> (String, f64, f64) {
    let (from, to, top) = (placed.middle - 18.0, placed.middle + 18.0, placed.y - 16.0);
    let y = placed.y;
    let path = format!("M{from:.1} {y:.1}C{from:.1} {top:.1} {to:.1} {top:.1} {to:.1} {y:.1}");
    (path, placed.middle, placed.y - 20.0)
}

/// How many characters it has, of which a name has few.
fn letters(text: &str) -> f64 {
    text.chars().map(|_| 1.0).sum()
}

fn line(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
    }
    path
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::super::super::flows::{Column, Node};
    use super::*;

    fn picture(nodes: usize, edges: &[(usize, usize)]) -> Picture {
        let node = |at| Node {
            column: if at == 0 { Column::Outside } else { Column::Nodes },
            name: format!("a name of node {at}"),
            about: "node".to_owned(),
            worst: Verdict::Allow,
        };
        let edge = |(from, to): &(usize, usize)| Edge {
            from: *from,
            to: *to,
            verdict: Verdict::Report,
            ports: "tcp 443, 10250".to_owned(),
            rules: 1,
        };
        Picture {
            cluster: "prod".to_owned(),
            nodes: (0..nodes).map(node).collect(),
            edges: edges.iter().map(edge).collect(),
        }
    }

    #[test]
    fn boxes_do_not_overlap_and_everything_is_in_the_view() {
        let dense: Vec<(usize, usize)> =
            (0..20).flat_map(|from| (0..20).step_by(3).map(move |to| (from, to))).collect();
        for (nodes, edges) in
            [(1, &[][..]), (1, &[(0, 0)]), (4, &[(0, 1), (1, 0), (1, 2), (2, 2), (3, 1)]), (20, &dense)]
        {
            let picture = picture(nodes, edges);
            let drawing = draw(&picture);
            assert_eq!((drawing.boxes.len(), drawing.arrows.len()), (nodes, edges.len()));
            let inside = |x: f64, y: f64| (0.0..=drawing.width).contains(&x) && (0.0..=drawing.height).contains(&y);
            for (at, one) in drawing.boxes.iter().enumerate() {
                assert!(inside(one.x, one.y) && inside(one.x + one.width, one.y + one.height), "{one:?}");
                for other in drawing.boxes.iter().skip(at + 1) {
                    let apart = one.x + one.width <= other.x
                        || other.x + other.width <= one.x
                        || one.y + one.height <= other.y
                        || other.y + other.height <= one.y;
                    assert!(apart, "{one:?} {other:?}");
                }
            }
            for arrow in &drawing.arrows {
                assert!(inside(arrow.left, arrow.top) && inside(arrow.left + arrow.width, arrow.y), "{arrow:?}");
                assert!(!arrow.path.contains("NaN") && arrow.label.starts_with("report: "));
            }
            assert_eq!(format!("{drawing:?}"), format!("{:?}", draw(&picture)), "the same picture each time");
        }
    }
}
