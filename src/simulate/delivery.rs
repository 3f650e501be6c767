//! The delivery of the traffic: which webhooks are lost, late or sent twice, and their order.

use std::collections::BTreeSet;

use super::draw::{DELIVERY, Draw};

/// Disturbances of webhooks on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// In a random order.
    pub(crate) shuffle: bool,
    /// The share of events that come twice, from 0 to 1.
    pub(crate) duplicate: f64,
    /// The share of events that come late, from 0 to 1.
    pub(crate) delay: f64,
    /// The share of events that are lost, from 0 to 1.
    pub(crate) drop: f64,
}

/// The webhooks that are posted and those that are lost, by index of the event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) posts: Vec<usize>,
    pub(super) dropped: BTreeSet<usize>,
}

/// Plans the delivery of a number of events.
pub(super) fn plan(seed: u64, events: usize, weather: Weather) -> Delivery {
    let mut draw = Draw::new(seed, DELIVERY);
    let mut dropped = BTreeSet::new();
    // A place in the queue, and the event, which decides between equal places.
    let mut places: Vec<(usize, usize)> = Vec::new();
    for event in 0..events {
        if draw.chance(weather.drop) {
            dropped.insert(event);
            continue;
        }
        let mut place = event;
        if draw.chance(weather.delay) {
            place = event + 1 + draw.index(events / 4 + 16);
        }
        places.push((place, event));
        if draw.chance(weather.duplicate) {
            // Retries follow soon; somebody's replay comes at any time.
            let distance = if draw.chance(0.5) { 16 } else { events };
            places.push((place + draw.index(distance), event));
        }
    }
    if weather.shuffle {
        draw.shuffle(&mut places);
    } else {
        places.sort_unstable();
    }
    Delivery {
        posts: places.into_iter().map(|(_, event)| event).collect(),
        dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Weather = Weather {
        shuffle: false,
        duplicate: 0.0,
        delay: 0.0,
        drop: 0.0,
    };

    #[test]
    fn fair_weather_delivers_all_in_order() {
        let expected: Vec<usize> = (0..100).collect();
        assert_eq!(plan(1, 100, FAIR).posts, expected);
    }

    #[test]
    fn each_kind_of_weather_does_what_it_says_and_loses_nothing_else() {
        let cases = [
            (
                "shuffle",
                Weather {
                    shuffle: true,
                    ..FAIR
                },
            ),
            (
                "duplicate",
                Weather {
                    duplicate: 0.3,
                    ..FAIR
                },
            ),
            ("delay", Weather { delay: 0.3, ..FAIR }),
            ("drop", Weather { drop: 0.3, ..FAIR }),
        ];
        for (name, weather) in cases {
            let Delivery { posts, dropped } = plan(7, 1_000, weather);
            let mut seen: BTreeSet<usize> = posts.iter().copied().collect();
            assert_eq!(
                posts.len() > seen.len(),
                name == "duplicate",
                "{name}: sent twice"
            );
            assert_eq!(posts.is_sorted(), name == "drop", "{name}: in order");
            assert_eq!(dropped.is_empty(), name != "drop", "{name}: lost");
            seen.extend(&dropped);
            assert_eq!(
                seen.len(),
                1_000,
                "{name}: every event is sent or known as lost"
            );
            assert_eq!(
                posts,
                plan(7, 1_000, weather).posts,
                "{name}: the same seed"
            );
            assert_ne!(posts, plan(8, 1_000, weather).posts, "{name}: another seed");
        }
    }
}
