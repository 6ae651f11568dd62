/* SPDX-License-Identifier: MIT */
/* The books find what they are kept for: each test cooks them in one way. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"
#include "test_main.h"

/* Key 0: put at 10, read, put at 20, deleted at 30, put at 40. Key 1: a put of unknown outcome,
 * seen at 25. Key 2: never touched. */
struct story {
    struct ledger ledger;
    struct ledger_write writes[16];
    size_t write_count;
    struct ledger_read reads[16];
    size_t read_count;
    struct ledger_read finals[3];
    uint64_t last_slot;
};

static struct ledger_write acked(uint64_t id, uint64_t revision, uint64_t version,
                                 uint64_t create_revision)
{
    return (struct ledger_write){.kind = LEDGER_PUT,
                                 .outcome = LEDGER_ACKED,
                                 .id = id,
                                 .revision = revision,
                                 .version = version,
                                 .create_revision = create_revision};
}

static void tell(struct story *story)
{
    *story = (struct story){.last_slot = 50};
    ledger_init(&story->ledger, 3);
    story->writes[0] = acked(1, 10, 1, 10);
    story->writes[1] = acked(2, 20, 2, 10);
    story->writes[1].floor = 10;
    story->writes[2] = acked(3, 30, 3, 10);
    story->writes[2].kind = LEDGER_DELETE;
    story->writes[3] = acked(4, 40, 1, 40);
    story->writes[4] =
        (struct ledger_write){.key = 1, .kind = LEDGER_PUT, .outcome = LEDGER_UNKNOWN, .id = 5};
    story->writes[5] = (struct ledger_write){.outcome = LEDGER_NOT_DONE, .id = 6};
    story->write_count = 6;
    story->reads[0] = (struct ledger_read){.is_found = true, .floor = 10, .revision = 10, .id = 1};
    story->reads[1] = (struct ledger_read){.floor = 30};
    story->reads[2] = (struct ledger_read){.key = 1, .is_found = true, .revision = 25, .id = 5};
    story->read_count = 3;
    story->finals[0] = (struct ledger_read){.is_found = true, .revision = 40, .id = 4};
    story->finals[1] = (struct ledger_read){.key = 1, .is_found = true, .revision = 25, .id = 5};
    story->finals[2] = (struct ledger_read){.key = 2};
}

/* Quietly: the violations are wanted. */
static size_t check(struct story *story)
{
    struct ledger_epoch epoch = {.writes = story->writes,
                                 .write_count = story->write_count,
                                 .reads = story->reads,
                                 .read_count = story->read_count,
                                 .finals = story->finals,
                                 .last_slot = story->last_slot};
    (void)fflush(stderr);
    int kept = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(kept, 0);
    ck_assert_int_ge(nowhere, 0);
    (void)dup2(nowhere, STDERR_FILENO);
    size_t violations = ledger_check(&story->ledger, &epoch);
    (void)fflush(stderr);
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    (void)close(nowhere);
    return violations;
}

static void expect_found(struct story *story)
{
    ck_assert_uint_gt(check(story), 0);
    ledger_deinit(&story->ledger);
}

static void expect_clean(struct story *story)
{
    ck_assert_uint_eq(check(story), 0);
    ledger_deinit(&story->ledger);
}

START_TEST(true_story_passes)
{
    struct story story;
    tell(&story);
    expect_clean(&story);
}
END_TEST

START_TEST(lost_write_is_found)
{
    struct story story;
    tell(&story);
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 20, .id = 2};
    expect_found(&story);
}
END_TEST

START_TEST(lost_key_is_found)
{
    struct story story;
    tell(&story);
    story.finals[0] = (struct ledger_read){0};
    expect_found(&story);
}
END_TEST

START_TEST(deletion_undone_is_found)
{
    struct story story;
    tell(&story);
    story.write_count = 3;
    story.read_count = 1;
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 20, .id = 2};
    story.finals[1] = (struct ledger_read){.key = 1};
    expect_found(&story);
}
END_TEST

START_TEST(revision_given_twice_is_found)
{
    struct story story;
    tell(&story);
    story.writes[6] = acked(7, 20, 1, 20);
    story.writes[6].key = 2;
    story.write_count = 7;
    story.finals[2] = (struct ledger_read){.key = 2, .is_found = true, .revision = 20, .id = 7};
    expect_found(&story);
}
END_TEST

START_TEST(unknown_write_seen_at_anothers_revision_is_found)
{
    struct story story;
    tell(&story);
    story.reads[2].revision = story.finals[1].revision = 20;
    expect_found(&story);
}
END_TEST

START_TEST(write_done_twice_is_found)
{
    struct story story;
    tell(&story);
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 45, .id = 4};
    expect_found(&story);
    tell(&story);
    story.finals[1].revision = 26; /* the unknown one, seen at 25 before */
    expect_found(&story);
}
END_TEST

START_TEST(stale_read_is_found)
{
    struct story story;
    tell(&story);
    story.reads[0].floor = 20;
    expect_found(&story);
}
END_TEST

START_TEST(early_absence_is_found)
{
    struct story story;
    tell(&story);
    story.write_count = 2; /* nobody deleted it */
    story.read_count = 2;
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 20, .id = 2};
    story.finals[1] = (struct ledger_read){.key = 1};
    story.reads[1].floor = 10;
    expect_found(&story);
}
END_TEST

START_TEST(absence_by_an_unknown_deletion_is_fine_for_two_epochs)
{
    struct story story;
    tell(&story);
    story.writes[4].key = 0;
    story.writes[4].kind = LEDGER_DELETE;
    story.read_count = 2;
    story.finals[1] = (struct ledger_read){.key = 1};
    ck_assert_uint_eq(check(&story), 0);
    story.write_count = story.read_count = 0;
    story.last_slot = 60;
    ck_assert_uint_eq(check(&story), 0);
    story.last_slot = 70;
    story.finals[0] = (struct ledger_read){0};
    expect_found(&story);

    tell(&story);
    story.writes[4].key = 0;
    story.writes[4].kind = LEDGER_DELETE;
    story.read_count = 2;
    story.finals[1] = (struct ledger_read){.key = 1};
    ck_assert_uint_eq(check(&story), 0);
    story.write_count = story.read_count = 0;
    story.last_slot = 60;
    story.finals[0] = (struct ledger_read){0};
    expect_clean(&story);
}
END_TEST

START_TEST(refused_write_that_took_effect_is_found)
{
    struct story story;
    tell(&story);
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 45, .id = 6};
    expect_found(&story);
}
END_TEST

START_TEST(value_from_nowhere_or_of_another_key_is_found)
{
    struct story story;
    tell(&story);
    story.finals[2] = (struct ledger_read){.key = 2, .is_found = true, .revision = 45, .id = 99};
    expect_found(&story);
    tell(&story);
    story.finals[2] = (struct ledger_read){.key = 2, .is_found = true, .revision = 25, .id = 5};
    expect_found(&story);
}
END_TEST

START_TEST(order_against_time_is_found)
{
    struct story story;
    tell(&story);
    story.writes[1].floor = 20; /* 20 was known before the write that got it began */
    expect_found(&story);
}
END_TEST

START_TEST(revision_outside_of_its_epoch_is_found)
{
    struct story story;
    tell(&story);
    story.ledger.last_slot = 10;
    expect_found(&story);
    tell(&story);
    story.last_slot = 39;
    expect_found(&story);
}
END_TEST

START_TEST(version_that_does_not_grow_is_found)
{
    struct story story;
    tell(&story);
    story.writes[1].version = 1;
    expect_found(&story);
}
END_TEST

START_TEST(compare_and_set_over_another_write_is_found)
{
    struct story story;
    tell(&story);
    story.writes[6] = acked(7, 45, 3, 40);
    story.writes[6].kind = LEDGER_CAS;
    story.writes[6].expected = 40;
    story.write_count = 7;
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 45, .id = 7};
    ck_assert_uint_eq(check(&story), 0);
    ledger_deinit(&story.ledger);

    tell(&story);
    story.writes[6] = acked(7, 45, 3, 40);
    story.writes[6].kind = LEDGER_CAS;
    story.writes[6].expected = 20;
    story.write_count = 7;
    story.finals[0] = (struct ledger_read){.is_found = true, .revision = 45, .id = 7};
    expect_found(&story);
}
END_TEST

START_TEST(late_effect_of_an_unknown_write_is_fine_in_a_later_epoch)
{
    struct story story;
    tell(&story);
    story.read_count = 2;
    story.finals[1] = (struct ledger_read){.key = 1};
    ck_assert_uint_eq(check(&story), 0);
    story.write_count = story.read_count = 0;
    story.last_slot = 60;
    story.finals[1] = (struct ledger_read){.key = 1, .is_found = true, .revision = 55, .id = 5};
    ck_assert_uint_eq(check(&story), 0);
    story.last_slot = 70;
    story.finals[1].revision = 65; /* and again */
    expect_found(&story);
}
END_TEST

TEST_MAIN("stress/ledger", true_story_passes, lost_write_is_found, lost_key_is_found,
          deletion_undone_is_found, revision_given_twice_is_found,
          unknown_write_seen_at_anothers_revision_is_found, write_done_twice_is_found,
          stale_read_is_found, early_absence_is_found,
          absence_by_an_unknown_deletion_is_fine_for_two_epochs,
          refused_write_that_took_effect_is_found, value_from_nowhere_or_of_another_key_is_found,
          order_against_time_is_found, revision_outside_of_its_epoch_is_found,
          version_that_does_not_grow_is_found, compare_and_set_over_another_write_is_found,
          late_effect_of_an_unknown_write_is_fine_in_a_later_epoch)
