/* SPDX-License-Identifier: MIT */
/*
 * Model of queue/spsc_ring: one producer, one consumer, cached peer indices, bulk publish and release.
 * (queue/spsc_lane follows the same protocol over bytes.)
 *
 * Memory is as weak as the C11 orders used allow: plain stores to slots become visible in any order,
 * later (processes `memory_of_...`); a release store becomes visible only after the stores before it. What a load
 * done too early, or too late, would do is modelled where an order forbids it, as a planted bug.
 *
 * Checked: every message is read once, in order, undamaged; never more than CAPACITY are in flight; both
 * sides come to an end (a wrong idea of full or empty is an invalid end state, because each side waits
 * for the other's index to move).
 *
 * Planted bugs, each of which spin must find:
 *   BUG_RELAXED_PUBLISH  [R1] the index overtakes the slots
 *   BUG_RELAXED_PEEK     [R1] a slot is read before the index that covers it
 *   BUG_RELAXED_RELEASE  [R2] a slot is given back before it is read
 *   BUG_RELAXED_CLAIM    [R2] a slot is written before the index that frees it is read
 *   BUG_ONE_TOO_MANY     full is recognised one slot late
 *   BUG_ONE_TOO_FEW      empty is recognised one slot early
 *   BUG_RELEASE_PEEKED   release gives back what was seen instead of what was read
 */
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef MESSAGES
#define MESSAGES 6
#endif

#define NOTHING 255 /* above every message number */
#define SLOTS   4   /* CAPACITY is 2 or 4; the others stay empty */
#define AT(i)   ((i) % CAPACITY)

byte slot[SLOTS] = NOTHING;  /* in memory; a message is its own number, which is its index */
byte store[SLOTS] = NOTHING; /* the producer's stores to slots, on the way */

byte published, released;                 /* in memory */
byte published_written, released_written; /* as their writers see them */

/* A release store of `published` may become visible when no slot below it is on the way. */
#ifdef BUG_RELAXED_PUBLISH
#define PUBLISH_MAY_GO true
#else
#define ARRIVED(i) (store[i] >= published_written)
#define PUBLISH_MAY_GO (ARRIVED(0) && ARRIVED(1) && ARRIVED(2) && ARRIVED(3))
#endif

active [SLOTS] proctype memory_of_slot()
{
    byte i = _pid;
end:
    do
    :: atomic { store[i] != NOTHING -> slot[i] = store[i]; store[i] = NOTHING }
    od
}

active proctype memory_of_published()
{
end:
    do
    :: atomic { published != published_written && PUBLISH_MAY_GO -> published = published_written }
    od
}

active proctype memory_of_released()
{
end:
    do
    :: atomic { released != released_written -> released = released_written }
    od
}

inline publish()
{
    if
    :: claimed != produced ->
       produced = claimed;
       published_written = claimed
    :: else
    fi
}

inline write_slot(n)
{
    atomic {
        store[AT(n)] == NOTHING; /* stores to one place keep their order */
        store[AT(n)] = n
    }
}

#ifdef BUG_ONE_TOO_MANY
#define IS_FULL (claimed - released_seen > CAPACITY)
#else
#define IS_FULL (claimed - released_seen >= CAPACITY)
#endif

active proctype producer()
{
    byte claimed, produced, released_seen;
    do
    :: claimed < MESSAGES ->
       if
       :: IS_FULL ->
#ifdef BUG_RELAXED_CLAIM
          write_slot(claimed);
#endif
          released_seen = released
       :: else
       fi;
       if
       :: IS_FULL ->
          publish();
          released != released_seen /* full: tries again once that could help */
       :: else ->
          write_slot(claimed);
          claimed++;
          if
          :: publish()
          :: skip /* more in the same bulk */
          fi
       fi
    :: else -> break
    od;
    publish()
}

#ifdef BUG_ONE_TOO_FEW
#define IS_EMPTY (published_seen - head <= 1)
#else
#define IS_EMPTY (published_seen == head)
#endif

inline read_slot(n)
{
    if
    :: early != NOTHING -> value = early; early = NOTHING
    :: else -> value = slot[AT(n)]
    fi;
    assert(value == n)
}

active proctype consumer()
{
    byte head, read, published_seen, value;
    byte early = NOTHING;
    do
    :: head < MESSAGES ->
       if
       :: IS_EMPTY ->
#ifdef BUG_RELAXED_PEEK
          early = slot[AT(head)];
#endif
          published_seen = published
       :: else
       fi;
       assert(published_seen - head <= CAPACITY);
       if
       :: IS_EMPTY ->
          early = NOTHING; /* nothing there: what was read early is not used */
          published != published_seen
       :: else ->
          read = head;
#ifdef BUG_RELAXED_RELEASE
          released_written = read + 1;
#endif
          do
          :: read_slot(read);
             read++;
             if
             :: read < published_seen
             :: break /* the rest in a later bulk */
             fi
          od;
#ifdef BUG_RELEASE_PEEKED
          released_written = published_seen;
          head = read;
#else
          head = read;
#ifndef BUG_RELAXED_RELEASE
          released_written = head;
#endif
#endif
       fi
    :: else -> break
    od
}
