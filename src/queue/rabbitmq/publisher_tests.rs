//! Which publishes count when something came back.

use lapin::message::{BasicReturnMessage, Delivery};

use super::*;

#[test]
fn no_result_counts_that_came_with_a_returned_message() {
    let returned = || BasicReturnMessage {
        delivery: Delivery::mock(0, "".into(), "".into(), false, Vec::new()),
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
    };
    let cases: [(&str, Vec<ConfirmResult>, &[bool]); 4] = [
        ("confirmed", vec![Ok(Confirmation::Ack(None))], &[true]),
        (
            "one refused by its queue",
            vec![Ok(Confirmation::Ack(None)), Ok(Confirmation::Nack(None))],
            &[true, false],
        ),
        (
            "one returned, to whomever it belongs",
            vec![
                Ok(Confirmation::Ack(None)),
                Ok(Confirmation::Ack(Some(returned()))),
                Ok(Confirmation::Ack(None)),
            ],
            &[false, false, false],
        ),
        (
            "a lost channel",
            vec![
                Ok(Confirmation::Ack(None)),
                Err(lapin::ErrorKind::MissingHeartbeatError.into()),
            ],
            &[false, false],
        ),
    ];
    for (description, results, expected) in cases {
        let broken = results.iter().find_map(breaks);
        let answers: Vec<bool> = results
            .iter()
            .map(|result| answer(result, broken.as_ref()).is_ok())
            .collect();
        assert_eq!(answers, expected, "{description}");
    }
}
