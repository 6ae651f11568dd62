/* SPDX-License-Identifier: MIT */
#include "cluster/mesh.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "test_main.h"

enum { SLOTS = 8 };

static void open_mesh(struct mesh *mesh, uint32_t nodes)
{
    ck_assert_int_eq(mesh_init(mesh, nodes, SLOTS), 0);
    for (uint32_t node = 0; node < nodes; node++) {
        mesh_up(mesh, node);
    }
}

static struct core_message message_of(uint32_t from, uint64_t slot)
{
    return (struct core_message){.kind = MESSAGE_ACCEPT, .from = (uint8_t)from, .slot = slot};
}

static void send(struct mesh *mesh, uint32_t from, uint32_t to, uint64_t slot)
{
    struct core_message message = message_of(from, slot);
    ck_assert(mesh_send(mesh, from, to, &message));
}

static void expect(struct mesh *mesh, uint32_t to, uint32_t from, uint64_t slot)
{
    const struct core_message *message = mesh_next(mesh, to);
    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message->from, from);
    ck_assert_uint_eq(message->slot, slot);
}

START_TEST(messages_arrive_in_order_and_only_once_published)
{
    struct mesh mesh;
    open_mesh(&mesh, 3);
    send(&mesh, 0, 1, 1);
    send(&mesh, 0, 1, 2);
    ck_assert_ptr_null(mesh_next(&mesh, 1));
    ck_assert(!mesh_has_messages(&mesh, 1));
    ck_assert_uint_eq(mesh_publish(&mesh, 0), 1u << 1);
    ck_assert_uint_eq(mesh_publish(&mesh, 0), 0);
    ck_assert(mesh_has_messages(&mesh, 1));
    ck_assert(!mesh_has_messages(&mesh, 2));
    expect(&mesh, 1, 0, 1);
    expect(&mesh, 1, 0, 2);
    ck_assert_ptr_null(mesh_next(&mesh, 1));
    mesh_release(&mesh, 1);
    ck_assert(!mesh_has_messages(&mesh, 1));
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(peers_are_heard_in_turn)
{
    struct mesh mesh;
    open_mesh(&mesh, 4);
    for (uint32_t from = 1; from < 4; from++) {
        send(&mesh, from, 0, from * 10);
        send(&mesh, from, 0, from * 10 + 1);
        (void)mesh_publish(&mesh, from);
    }
    uint32_t heard[4] = {0};
    for (int i = 0; i < 6; i++) {
        const struct core_message *message = mesh_next(&mesh, 0);
        ck_assert_ptr_nonnull(message);
        ck_assert_uint_eq(message->slot, message->from * 10u + heard[message->from]);
        heard[message->from]++;
    }
    ck_assert_ptr_null(mesh_next(&mesh, 0));
    mesh_release(&mesh, 0);
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(full_link_refuses_until_its_reader_releases)
{
    struct mesh mesh;
    open_mesh(&mesh, 2);
    struct core_message message = message_of(0, 9);
    for (uint64_t i = 0; i < SLOTS; i++) {
        send(&mesh, 0, 1, i);
    }
    ck_assert(!mesh_send(&mesh, 0, 1, &message));
    (void)mesh_publish(&mesh, 0);
    expect(&mesh, 1, 0, 0);
    ck_assert(!mesh_send(&mesh, 0, 1, &message)); /* read, but its bytes are still in use */
    mesh_release(&mesh, 1);
    ck_assert(mesh_send(&mesh, 0, 1, &message));
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(node_that_is_down_is_sent_nothing)
{
    struct mesh mesh;
    open_mesh(&mesh, 2);
    struct core_message message = message_of(0, 1);
    mesh_down(&mesh, 1);
    ck_assert(!mesh_is_up(&mesh, 1));
    ck_assert(!mesh_send(&mesh, 0, 1, &message));
    ck_assert_uint_eq(mesh_publish(&mesh, 0), 0);
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(restarted_node_hears_nothing_meant_for_its_life_before)
{
    struct mesh mesh;
    open_mesh(&mesh, 3);
    send(&mesh, 0, 2, 1); /* published before it is up again */
    (void)mesh_publish(&mesh, 0);
    send(&mesh, 0, 2, 2); /* and after */
    send(&mesh, 1, 2, 3);
    (void)mesh_publish(&mesh, 1);
    expect(&mesh, 2, 0, 1); /* it dies with messages half read */
    mesh_down(&mesh, 2);
    mesh_up(&mesh, 2);
    (void)mesh_publish(&mesh, 0);
    ck_assert_ptr_null(mesh_next(&mesh, 2));
    mesh_release(&mesh, 2); /* what was dropped unread makes room as well */
    send(&mesh, 0, 2, 4);
    (void)mesh_publish(&mesh, 0);
    expect(&mesh, 2, 0, 4);
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(restarted_node_is_heard_and_its_links_hold_all_they_can)
{
    struct mesh mesh;
    open_mesh(&mesh, 2);
    for (int life = 0; life < 5; life++) {
        for (uint64_t i = 0; i < SLOTS; i++) {
            send(&mesh, 0, 1, i);
            send(&mesh, 1, 0, i);
        }
        (void)mesh_publish(&mesh, 0);
        (void)mesh_publish(&mesh, 1);
        mesh_down(&mesh, 1);
        mesh_up(&mesh, 1);
        ck_assert_ptr_null(mesh_next(&mesh, 1));
        for (uint64_t i = 0; i < SLOTS; i++) {
            expect(&mesh, 0, 1, i); /* sent by the life before: still true */
        }
        mesh_release(&mesh, 0);
    }
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(incarnations_tell_lives_apart)
{
    struct mesh mesh;
    ck_assert_int_eq(mesh_init(&mesh, 2, SLOTS), 0);
    ck_assert(!mesh_is_up(&mesh, 0));
    uint64_t seen = mesh_incarnation(&mesh, 0);
    for (int i = 0; i < 300; i++) { /* past what a message's byte holds */
        mesh_up(&mesh, 0);
        ck_assert(mesh_is_up(&mesh, 0));
        ck_assert_uint_gt(mesh_incarnation(&mesh, 0), seen);
        seen = mesh_incarnation(&mesh, 0);
        mesh_down(&mesh, 0);
        ck_assert_uint_gt(mesh_incarnation(&mesh, 0), seen);
        seen = mesh_incarnation(&mesh, 0);
    }
    mesh_up(&mesh, 0);
    mesh_up(&mesh, 1);
    send(&mesh, 1, 0, 5);
    (void)mesh_publish(&mesh, 1);
    expect(&mesh, 0, 1, 5);
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(node_is_drained_when_all_that_are_up_have_released)
{
    struct mesh mesh;
    open_mesh(&mesh, 3);
    ck_assert(mesh_is_drained(&mesh, 0));
    send(&mesh, 0, 1, 1);
    send(&mesh, 0, 2, 1);
    (void)mesh_publish(&mesh, 0);
    ck_assert(!mesh_is_drained(&mesh, 0));
    expect(&mesh, 1, 0, 1);
    ck_assert(!mesh_is_drained(&mesh, 0)); /* it may be copying right now */
    mesh_release(&mesh, 1);
    ck_assert(!mesh_is_drained(&mesh, 0));
    mesh_down(&mesh, 2); /* will never read them */
    ck_assert(mesh_is_drained(&mesh, 0));
    mesh_up(&mesh, 2);
    ck_assert(mesh_is_drained(&mesh, 0));
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(pins_pass_when_receivers_released_what_was_on_its_way)
{
    struct mesh mesh;
    open_mesh(&mesh, 3);
    mesh_note_pins(&mesh, 0);
    ck_assert(mesh_pins_passed(&mesh, 0));
    send(&mesh, 0, 1, 1);
    send(&mesh, 0, 2, 1);
    (void)mesh_publish(&mesh, 0);
    mesh_note_pins(&mesh, 0);
    send(&mesh, 0, 1, 2); /* later: not waited for */
    (void)mesh_publish(&mesh, 0);
    ck_assert(!mesh_pins_passed(&mesh, 0));
    expect(&mesh, 1, 0, 1);
    mesh_release(&mesh, 1);
    ck_assert(!mesh_pins_passed(&mesh, 0));
    expect(&mesh, 2, 0, 1);
    ck_assert(!mesh_pins_passed(&mesh, 0));
    mesh_release(&mesh, 2);
    ck_assert(mesh_pins_passed(&mesh, 0));
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(pins_do_not_wait_for_the_dead_nor_for_their_next_lives)
{
    struct mesh mesh;
    open_mesh(&mesh, 2);
    send(&mesh, 0, 1, 1);
    (void)mesh_publish(&mesh, 0);
    mesh_note_pins(&mesh, 0);
    ck_assert(!mesh_pins_passed(&mesh, 0));
    mesh_down(&mesh, 1);
    ck_assert(mesh_pins_passed(&mesh, 0));
    mesh_up(&mesh, 1);
    ck_assert(mesh_pins_passed(&mesh, 0)); /* drops it unread: incarnation */
    mesh_down(&mesh, 1);
    mesh_note_pins(&mesh, 0);
    mesh_up(&mesh, 1);
    ck_assert(mesh_pins_passed(&mesh, 0));
    mesh_deinit(&mesh);
}
END_TEST

START_TEST(one_node_has_nobody_to_talk_to)
{
    struct mesh mesh;
    open_mesh(&mesh, 1);
    ck_assert_ptr_null(mesh_next(&mesh, 0));
    ck_assert(!mesh_has_messages(&mesh, 0));
    ck_assert_uint_eq(mesh_publish(&mesh, 0), 0);
    ck_assert(mesh_is_drained(&mesh, 0));
    mesh_note_pins(&mesh, 0);
    ck_assert(mesh_pins_passed(&mesh, 0));
    mesh_deinit(&mesh);
}
END_TEST

/* A sender recycles a page once pins passed; a receiver that is restarted all the while reads it.
 */
enum { PAGES = 4, ROUNDS = 20000 };

struct recycling {
    struct mesh mesh;
    uint64_t pages[PAGES]; /* plain: the thread sanitizer sees a page written while it is read */
    _Atomic bool is_over;
    _Atomic bool is_receiver_stopped;
    uint64_t heard, wrong;
};

static void *receive(void *argument)
{
    struct recycling *recycling = argument;
    struct mesh *mesh = &recycling->mesh;
    while (!atomic_load_explicit(&recycling->is_receiver_stopped, memory_order_acquire)) {
        const struct core_message *message;
        while ((message = mesh_next(mesh, 1)) != NULL) {
            uint64_t held;
            memcpy(&held, message->bytes, sizeof held);
            recycling->wrong += held != message->slot;
            recycling->heard++;
        }
        mesh_release(mesh, 1);
        sched_yield();
    }
    return NULL;
}

static void *control(void *argument)
{
    struct recycling *recycling = argument;
    while (!atomic_load(&recycling->is_over)) {
        pthread_t thread;
        atomic_store(&recycling->is_receiver_stopped, false);
        mesh_up(&recycling->mesh, 1);
        ck_assert_int_eq(pthread_create(&thread, NULL, receive, recycling), 0);
        struct timespec moment = {.tv_nsec = 200000};
        (void)nanosleep(&moment, NULL);
        atomic_store_explicit(&recycling->is_receiver_stopped, true, memory_order_release);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        mesh_down(&recycling->mesh, 1);
    }
    return NULL;
}

START_TEST(pages_are_never_written_while_a_message_that_names_them_is_read)
{
    static struct recycling recycling;
    recycling = (struct recycling){0};
    struct mesh *mesh = &recycling.mesh;
    ck_assert_int_eq(mesh_init(mesh, 2, SLOTS), 0);
    mesh_up(mesh, 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, control, &recycling), 0);
    uint64_t sent = 0;
    for (uint64_t round = 1; (round <= ROUNDS || sent < ROUNDS) && round < 1000 * ROUNDS; round++) {
        for (uint64_t i = 0; i < PAGES; i++) {
            recycling.pages[i] = round * PAGES + i;
            struct core_message message = message_of(0, round * PAGES + i);
            message.bytes = (const uint8_t *)&recycling.pages[i];
            sent += mesh_send(mesh, 0, 1, &message);
        }
        (void)mesh_publish(mesh, 0);
        mesh_note_pins(mesh, 0);
        while (!mesh_pins_passed(mesh, 0)) {
            sched_yield();
        }
    }
    atomic_store(&recycling.is_over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_ge(sent, ROUNDS);
    ck_assert_uint_gt(recycling.heard, 0);
    ck_assert_uint_eq(recycling.wrong, 0);
    mesh_deinit(mesh);
}
END_TEST

TEST_MAIN("cluster/mesh", messages_arrive_in_order_and_only_once_published, peers_are_heard_in_turn,
          full_link_refuses_until_its_reader_releases, node_that_is_down_is_sent_nothing,
          restarted_node_hears_nothing_meant_for_its_life_before,
          restarted_node_is_heard_and_its_links_hold_all_they_can, incarnations_tell_lives_apart,
          node_is_drained_when_all_that_are_up_have_released,
          pins_pass_when_receivers_released_what_was_on_its_way,
          pins_do_not_wait_for_the_dead_nor_for_their_next_lives, one_node_has_nobody_to_talk_to,
          pages_are_never_written_while_a_message_that_names_them_is_read)
