//! Failures of payments never enter; only what is owed heals.

use tollgate::domain::billing::assessment::Standing;
use tollgate::domain::billing::fact::Occurrence;
use tollgate::domain::customer::row::Status;

use crate::convergence::kinds;
use crate::convergence::rig::{at, invoice, sub};

use super::{
    LATE, assert_active, assert_frozen, assert_gives, assert_nothing, day, end_at, of_paddle,
    transaction,
};

#[test]
fn manual_invoice_fails() {
    let end = end_at(
        day(2),
        &[
            sub("active").created().latest("in_1").at(10),
            invoice("in_1").line("A", 100, 10, day(365)).paid(10),
            invoice("in_2").reason("manual").failed(day(1)),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(end.assessment("sub_1").standing, Standing::Good);
    assert_eq!(kinds(&end, "cus_1"), []);
}

#[test]
fn declined_upgrade() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_1").at(10),
            invoice("in_2").reason("subscription_update").failed(20),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn older_invoice_fails_again() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_2").at(20),
            invoice("in_2")
                .reason("subscription_cycle")
                .line("A", 100, 20, day(30))
                .paid(20),
            invoice("in_1").reason("subscription_cycle").failed(30),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn owed_invoice_heals() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_1").at(10),
            sub("past_due").latest("in_2").at(20),
            invoice("in_2").line("A", 100, 20, day(30)).paid(30),
        ],
    );
    assert_active(&end, &["A"]);
    assert_eq!(end.assessment("sub_1").good_moment, Some(at(30)));
}

#[test]
fn older_of_two_owed_invoices_heals() {
    let end = |paid: i64, last: &[Occurrence]| {
        let mut events = vec![
            sub("active").created().latest("in_1").at(10),
            sub("past_due").latest("in_2").at(day(10)),
            sub("past_due").latest("in_3").at(day(38)),
            invoice("in_2")
                .reason("subscription_cycle")
                .line("A", 100, day(10), day(38))
                .paid(paid),
        ];
        events.extend(last.iter().cloned());
        end_at(day(42), &events)
    };
    // Whether it was paid before the newer one failed or after.
    for paid in [day(37), day(39)] {
        let end = end(paid, &[]);
        assert_nothing(&end, Status::Suspended);
        assert_eq!(end.of("cus_1").failing_since, Some(at(day(38))));
    }
    // The provider gave up before it was paid, so it has ended.
    let end = end(day(40), &[sub("unpaid").latest("in_3").at(day(39))]);
    assert!(matches!(end.of("cus_1").status, Status::Frozen { .. }));
}

#[test]
fn other_invoice_heals_not() {
    for other in [
        invoice("in_1").line("A", 100, 10, day(30)),
        invoice("in_3").reason("manual").once("P", 100),
    ] {
        let mut events = vec![
            sub("active").latest("in_1").at(10),
            sub("past_due").latest("in_2").at(20),
        ];
        events.push(other.paid(30));
        let end = end_at(day(2), &events);
        assert_eq!(end.assessment("sub_1").standing, Standing::Failing);
        assert_eq!(end.of("cus_1").failing_since, Some(at(20)));
    }
}

#[test]
fn old_cycle_heals_not() {
    let end = end_at(
        day(401),
        &[
            sub("past_due").at(day(400)),
            invoice("in_1")
                .reason("subscription_cycle")
                .line("A", 100, day(35), day(400))
                .paid(day(35)),
        ],
    );
    assert_nothing(&end, Status::Suspended);
    let end = end_at(
        day(402),
        &[
            sub("past_due").at(day(400)),
            invoice("in_2")
                .reason("subscription_cycle")
                .line("A", 100, day(400), day(800))
                .paid(day(401)),
        ],
    );
    assert_active(&end, &["A"]);
}

#[test]
fn zero_latest_heals_not() {
    let end = end_at(
        day(2),
        &[
            sub("past_due").latest("in_2").at(20),
            sub("past_due").latest("in_3").at(30),
            invoice("in_3")
                .reason("subscription_update")
                .line("A", 0, 30, day(30))
                .paid(30),
        ],
    );
    assert_nothing(&end, Status::Suspended);
}

#[test]
fn debit_returned() {
    let end = end_at(
        day(2),
        &[
            sub("active").latest("in_2").at(10),
            invoice("in_2").line("A", 100, 10, day(30)).paid(10),
            sub("past_due").latest("in_2").at(20),
        ],
    );
    assert_nothing(&end, Status::Suspended);
    assert_eq!(end.of("cus_1").failing_since, Some(at(20)));
}

#[test]
fn a_returned_debit_that_is_collected_again_counts_as_paid() {
    let events = [
        sub("active").latest("in_2").at(10),
        invoice("in_2").line("A", 100, 10, day(30)).paid(10),
        sub("past_due").latest("in_2").at(20),
        invoice("in_2").line("A", 100, 10, day(30)).paid(30),
    ];
    let end = end_at(day(2), &events);
    assert_active(&end, &["A"]);
    assert_eq!(end.of("cus_1").failing_since, None);
    // Told twice before it came back, it is owed all the same.
    let mut early = events;
    early[3] = invoice("in_2").line("A", 100, 10, day(30)).paid(11);
    assert_nothing(&end_at(day(2), &early), Status::Suspended);
}

#[test]
fn an_older_invoice_that_is_paid_while_unpaid_counts() {
    let end = end_at(
        LATE,
        &[
            sub("active").created().latest("in_1").at(0),
            invoice("in_1").line("A", 100, 0, day(30)).paid(day(9)),
            sub("past_due").latest("in_1").at(day(1)),
            sub("unpaid").latest("in_1").at(day(5)),
            sub("unpaid").latest("in_2").at(day(8)),
            sub("canceled").latest("in_2").at(day(10)),
        ],
    );
    assert_frozen(&end, &[("A", day(10))]);
}

#[test]
fn paddle_card_change_declined() {
    let declined = transaction("txn_2").reason("subscription_payment_method_change");
    let end = end_at(day(2), &[of_paddle("active").at(10), declined.failed(20)]);
    assert_gives(&end, "ctm_1", Status::Active, &[("A", None)]);
}

#[test]
fn paddle_zero_payment() {
    let free = transaction("txn_2").reason("subscription_payment_method_change");
    let events = [of_paddle("past_due").at(10), free.paid_with(0, 0, 20)];
    assert_gives(&end_at(day(2), &events), "ctm_1", Status::Suspended, &[]);
    let renewal = transaction("txn_3").reason("subscription_recurring");
    let events = [
        of_paddle("past_due").at(10),
        renewal.paid_with(100, 100, 20),
    ];
    assert_gives(
        &end_at(day(2), &events),
        "ctm_1",
        Status::Active,
        &[("A", None)],
    );
}

#[test]
fn what_is_paid_after_the_provider_gave_up_moves_no_end() {
    let failed = [
        sub("active").created().latest("in_1").at(0),
        invoice("in_1").line("A", 100, 0, day(30)).paid(0),
        sub("past_due").latest("in_2").at(day(30)),
        sub("unpaid").latest("in_2").at(day(40)),
    ];
    // It ended two weeks after the failure began.
    assert_frozen(&end_at(day(50), &failed), &[("A", day(30))]);
    let mut events = failed.to_vec();
    events.push(
        invoice("in_2")
            .line("A", 100, day(30), day(60))
            .paid(day(49)),
    );
    assert_frozen(&end_at(day(50), &events), &[("A", day(44))]);
}
