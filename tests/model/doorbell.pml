/* SPDX-License-Identifier: MIT */
/*
 * Model of queue/doorbell: sleepers, ringers and the promise that nobody sleeps while work waits.
 *
 * Memory is weaker than x86 and as weak as ARM in what matters here: a store becomes visible at some
 * later time, chosen by the checker, stores to different words in any order (processes `memory_of_...`). A fence
 * waits for the own stores; a read-modify-write acts on memory at once. A load that is done early is the
 * same as a store done late, so only stores are delayed.
 *
 * Every ringer publishes ITEMS times into its own queue to every sleeper, pays one fence, and rings all
 * bells (doorbell_fence + doorbell_ring_fenced). A lost wake-up is a sleeper that sleeps for ever:
 * spin reports it as an invalid end state, because the model has no timeouts.
 *
 * Planted bugs, each of which spin must find:
 *   BUG_NO_RING_FENCE     the ringer reads `armed` with its index still on the way
 *   BUG_NO_ARM_FENCE      the sleeper looks at the queues with `armed` still on the way
 *   BUG_LOOK_BEFORE_ARM   the last look comes before arming
 *   BUG_RING_FIRST        rings, then publishes
 *   BUG_WAIT_UNCHECKED    goes to sleep without comparing the word (as a futex would)
 *   BUG_WAKE_KEEPS_ARMED  wakes without clearing the word first: a wake-up between the last look
 *                         and the sleep goes unnoticed
 */
#ifndef SLEEPERS
#define SLEEPERS 1
#endif
#ifndef RINGERS
#define RINGERS 2
#endif
#ifndef ITEMS
#define ITEMS 2
#endif

#define QUEUE(s, r) ((s) * RINGERS + (r))
#define QUEUES      (SLEEPERS * RINGERS)

byte written[QUEUES]; /* published index as the ringer sees it */
byte index[QUEUES];   /* the same in memory: lags behind */

bit armed[SLEEPERS];                      /* the futex word in memory */
chan armed_stores[SLEEPERS] = [2] of {bit}; /* the sleeper's stores to it, on the way */
bit asleep[SLEEPERS];                     /* queued in the kernel */

/* Stores reach memory some time later; those to one word in their order. */
proctype memory_of_index(byte q)
{
end:
    do
    :: atomic { written[q] != index[q] -> index[q]++ }
    od
}

proctype memory_of_armed(byte s)
{
end:
    do
    :: atomic { nempty(armed_stores[s]) -> armed_stores[s]?armed[s] }
    od
}

inline publish_all()
{
    s = 0;
    do
    :: s < SLEEPERS -> written[QUEUE(s, me)]++; s++
    :: else -> break
    od
}

inline ring_fence()
{
#ifndef BUG_NO_RING_FENCE
    s = 0;
    do
    :: s < SLEEPERS -> written[QUEUE(s, me)] == index[QUEUE(s, me)]; s++
    :: else -> break
    od
#else
    skip
#endif
}

inline ring_all()
{
    s = 0;
    do
    :: s < SLEEPERS ->
       if
       :: armed[s] == 1 ->
#ifndef BUG_WAKE_KEEPS_ARMED
          atomic { was_armed = armed[s]; armed[s] = 0 };
#else
          was_armed = 1;
#endif
          if
          :: was_armed -> asleep[s] = 0 /* FUTEX_WAKE, now or much later */
          :: else
          fi
       :: else
       fi;
       s++
    :: else -> break
    od
}

proctype ringer(byte me)
{
    byte item, s;
    bit was_armed;
    do
    :: item < ITEMS ->
#ifdef BUG_RING_FIRST
       ring_fence();
       ring_all();
       publish_all();
#else
       publish_all();
       ring_fence();
       ring_all();
#endif
       item++
    :: else -> break
    od
}

/* One look at every queue: takes what is there. */
inline take_all()
{
    found = false;
    r = 0;
    do
    :: r < RINGERS ->
       if
       :: index[QUEUE(me, r)] != seen[r] -> seen[r] = index[QUEUE(me, r)]; found = true
       :: else
       fi;
       r++
    :: else -> break
    od
}

/* has_work: whether there is anything, taking nothing. */
inline look()
{
    found = false;
    r = 0;
    do
    :: r < RINGERS -> found = found || index[QUEUE(me, r)] != seen[r]; r++
    :: else -> break
    od
}

inline arm()
{
    armed_stores[me]!1;
#ifndef BUG_NO_ARM_FENCE
    empty(armed_stores[me]);
#endif
}

inline wait()
{
    empty(armed_stores[me]); /* a system call is a barrier */
#ifdef BUG_WAIT_UNCHECKED
    asleep[me] = 1;
#else
    atomic {
        if
        :: armed[me] == 1 -> asleep[me] = 1
        :: else
        fi
    };
#endif
    asleep[me] == 0;
    armed[me] = 0 /* the exchange: its result is not looked at */
}

proctype sleeper(byte me)
{
    byte seen[RINGERS];
    byte r;
    bool found, all;
    do
    :: take_all();
       all = true;
       r = 0;
       do
       :: r < RINGERS -> all = all && seen[r] == ITEMS; r++
       :: else -> break
       od;
       if
       :: all -> break
       :: !all && found /* work done: another turn */
       :: !all && !found ->
#ifdef BUG_LOOK_BEFORE_ARM
          look();
          arm();
#else
          arm();
          look();
#endif
          if
          :: found -> armed_stores[me]!0 /* disarm, relaxed */
          :: else -> wait()
          fi
       fi
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. QUEUES - 1) { run memory_of_index(i) }
        for (i : 0 .. SLEEPERS - 1) { run memory_of_armed(i); run sleeper(i) }
        for (i : 0 .. RINGERS - 1) { run ringer(i) }
    }
}
