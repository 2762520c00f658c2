/* Sums by id over rows of ids, and what is asked of them: loops of which numpy makes several passes over
 * arrays as long as the catalog.
 *
 * `slots` is scratch of the calling thread: (size,) zeros, where each function finds an id's place (+ 1) while
 * it runs, and zeros again when it returns. Ids below 0 or not below `size` are left out. Nothing is allocated
 * here, and there is no libc: a library built once runs beside every other.
 */
#include <stdint.h>

typedef int32_t id_t;

static inline int is_inside(id_t id, int64_t size) { return (uint32_t)id < (uint64_t)size; }

/* How many rows ahead memory is asked for: rows of a large catalog lie far apart, and are seldom in a cache. */
enum { ROWS_AHEAD = 6 };

/* Whether a stands before b: the larger value, of equal ones the lower id. */
static inline int is_before(double value_a, id_t a, double value_b, id_t b)
{
    return value_a > value_b || (value_a == value_b && a < b);
}

/* The place of an id among those found so far; found[*count] and what is summed up there are scratch, and become
 * its own if it is new. Without a branch: which ids are new is what a processor cannot guess. */
static inline int64_t place_of(id_t id, id_t *slots, id_t *found, int64_t *count)
{
    const id_t slot = slots[id];
    found[*count] = id;
    *count += slot == 0;
    const id_t place = slot ? slot : (id_t)*count;
    slots[id] = place;
    return place - 1;
}

/* row_sums for a number of kinds that the compiler knows: a third less time than a loop over them takes. */
static inline int64_t sums_of(const id_t *ids_of, const float *weights, int64_t width, int64_t known,
                              const id_t *of, int64_t rows, const double *lent, const int64_t kinds, id_t *slots,
                              int64_t size, id_t *found, double *values, int64_t capacity)
{
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t from = of ? of[row] : row;
        if (from < 0 || from >= known)
            continue;
        const id_t *ids = ids_of + from * width;
        const float *weight = weights ? weights + from * width : 0;
        for (int64_t at = 0; at < width; at++) {
            const double w = weight ? weight[at] : 1.0;
            const id_t id = ids[at];
            if (w == 0.0 || !is_inside(id, size))
                continue;
            for (int64_t kind = 0; kind < kinds; kind++)
                values[kind * capacity + count] = 0.0;
            const int64_t place = place_of(id, slots, found, &count);
            for (int64_t kind = 0; kind < kinds; kind++)
                values[kind * capacity + place] += lent[kind * rows + row] * w;
        }
    }
    for (int64_t t = 0; t < count; t++)
        slots[found[t]] = 0;
    return count;
}

/* What rows lend to ids: values[j][t] = sum over rows of lent[j][row] * weight of ids[t] there.
 * ids_of, weights: `known` rows of `width`; weights may be null: all 1. of: (rows,) which rows, null: the first
 * ones; from `known` on they have nothing. lent: (kinds, rows), of one kind or two.
 * found: (capacity,) the different ids in order of appearance. values: (kinds, capacity). capacity: one more than
 * there can be. Returns how many. */
int64_t row_sums(const id_t *ids_of, const float *weights, int64_t width, int64_t known, const id_t *of,
                 int64_t rows, const double *lent, int64_t kinds, id_t *slots, int64_t size, id_t *found,
                 double *values, int64_t capacity)
{
    return kinds == 1 ? sums_of(ids_of, weights, width, known, of, rows, lent, 1, slots, size, found, values, capacity)
                      : sums_of(ids_of, weights, width, known, of, rows, lent, 2, slots, size, found, values, capacity);
}

/* What sessions that are near lend to their items, those near the newest shared one most (V-SkNN).
 * events: `known` rows of `length` items in order, -1 where there is none. near: (sessions,) rows. lent:
 * (sessions,). current: (shared,) different items of the session that is asked for, newest first. matched:
 * (shared,) what a shared item at that place counts. by_steps: (length,) what an item so many steps from it
 * counts. found, values: (sessions * length + 1 + sessions,), scratch behind the sums. Returns how many. */
int64_t session_sums(const id_t *events, int64_t length, int64_t known, const id_t *near, const double *lent,
                     int64_t sessions, const id_t *current, const double *matched, int64_t shared,
                     const double *by_steps, id_t *slots, int64_t size, id_t *found, double *values)
{
    int64_t count = 0;
    id_t *newest = found + sessions * length + 1; /* (sessions,) where the newest shared item stands */
    double *weight = values + sessions * length + 1;
    for (int64_t place = 0; place < shared; place++)
        if (is_inside(current[place], size))
            slots[current[place]] = (id_t)place + 1;
    for (int64_t row = 0; row < sessions; row++) {
        if (row + ROWS_AHEAD < sessions && is_inside(near[row + ROWS_AHEAD], known)) {
            const id_t *later = events + (int64_t)near[row + ROWS_AHEAD] * length;
            __builtin_prefetch(later);
            __builtin_prefetch(later + length - 1);
        }
        newest[row] = 0;
        weight[row] = 0.0;
        if (!is_inside(near[row], known))
            continue;
        const id_t *items = events + (int64_t)near[row] * length;
        id_t best = 0;
        for (int64_t at = 0; at < length; at++) {
            const id_t place = is_inside(items[at], size) ? slots[items[at]] : 0;
            if (place && (!best || place < best)) {
                best = place;
                newest[row] = (id_t)at;
            }
        }
        if (best)
            weight[row] = lent[row] * matched[best - 1];
    }
    for (int64_t place = 0; place < shared; place++)
        if (is_inside(current[place], size))
            slots[current[place]] = 0;
    for (int64_t row = 0; row < sessions; row++) {
        if (weight[row] == 0.0)
            continue;
        const id_t *items = events + (int64_t)near[row] * length;
        for (int64_t at = 0; at < length; at++) {
            const id_t id = items[at];
            if (!is_inside(id, size))
                continue;
            values[count] = 0.0;
            const int64_t place = place_of(id, slots, found, &count);
            const int64_t steps = at < newest[row] ? newest[row] - at : at - newest[row];
            values[place] += weight[row] * by_steps[steps];
        }
    }
    for (int64_t t = 0; t < count; t++)
        slots[found[t]] = 0;
    return count;
}

/* Put a pair into a heap whose root is the one that would leave first. */
static void sink(double *values, id_t *ids, int64_t count, int64_t at, double value, id_t id)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && is_before(values[child], ids[child], values[child + 1], ids[child + 1]))
            child++;
        if (!is_before(value, id, values[child], ids[child]))
            break;
        values[at] = values[child];
        ids[at] = ids[child];
        at = child;
    }
    values[at] = value;
    ids[at] = id;
}

/* The `limit` largest values above 0 whose ids are allowed, best first; of equal ones the lower id.
 * ids, values: (count,). allowed: (allowed_size,) by id, null: all. best_ids, best_values: (limit,). Returns how
 * many there are. */
int64_t best(const id_t *ids, const double *values, int64_t count, const uint8_t *allowed, int64_t allowed_size,
             int64_t limit, id_t *best_ids, double *best_values)
{
    int64_t kept = 0;
    if (limit <= 0)
        return 0;
    for (int64_t t = 0; t < count; t++) {
        const double value = values[t];
        const id_t id = ids[t];
        if (!(value > 0.0))
            continue;
        if (kept == limit && !is_before(value, id, best_values[0], best_ids[0]))
            continue;
        if (allowed && (!is_inside(id, allowed_size) || !allowed[id]))
            continue;
        if (kept < limit) {
            best_values[kept] = value;
            best_ids[kept++] = id;
            if (kept == limit)
                for (int64_t at = limit / 2 - 1; at >= 0; at--)
                    sink(best_values, best_ids, limit, at, best_values[at], best_ids[at]);
        } else {
            sink(best_values, best_ids, limit, 0, value, id);
        }
    }
    if (kept < limit)
        for (int64_t at = kept / 2 - 1; at >= 0; at--)
            sink(best_values, best_ids, kept, at, best_values[at], best_ids[at]);
    for (int64_t end = kept - 1; end > 0; end--) { /* the last of the heap goes to the end */
        const double value = best_values[end];
        const id_t id = best_ids[end];
        best_values[end] = best_values[0];
        best_ids[end] = best_ids[0];
        sink(best_values, best_ids, end, 0, value, id);
    }
    return kept;
}

/* values of `ids` at `positions`, 0 where there is none. ids, values: (count,), each id once. out: (wanted,). */
void at_positions(const id_t *ids, const double *values, int64_t count, const id_t *positions, int64_t wanted,
                  id_t *slots, int64_t size, float *out)
{
    for (int64_t p = 0; p < wanted; p++) {
        out[p] = 0.0f;
        if (is_inside(positions[p], size) && !slots[positions[p]])
            slots[positions[p]] = (id_t)p + 1;
    }
    for (int64_t t = 0; t < count; t++)
        if (is_inside(ids[t], size) && slots[ids[t]])
            out[slots[ids[t]] - 1] = (float)values[t];
    for (int64_t p = 0; p < wanted; p++) /* a position that was there before has what the first one has */
        if (is_inside(positions[p], size))
            out[p] = out[slots[positions[p]] - 1];
    for (int64_t p = 0; p < wanted; p++)
        if (is_inside(positions[p], size))
            slots[positions[p]] = 0;
}

/* The weights of the links from rows to `positions` (different ones): out (rows, wanted), 0 where there is none.
 * The rest as in row_sums. */
void links_to(const id_t *ids_of, const float *weights, int64_t width, int64_t known, const id_t *of,
              int64_t rows, const id_t *positions, int64_t wanted, id_t *slots, int64_t size, float *out)
{
    for (int64_t p = 0; p < wanted; p++)
        if (is_inside(positions[p], size))
            slots[positions[p]] = (id_t)p + 1;
    for (int64_t row = 0; row < rows; row++) {
        float *of_row = out + row * wanted;
        for (int64_t p = 0; p < wanted; p++)
            of_row[p] = 0.0f;
        if (!is_inside(of[row], known))
            continue;
        const id_t *ids = ids_of + (int64_t)of[row] * width;
        const float *weight = weights + (int64_t)of[row] * width;
        for (int64_t at = 0; at < width; at++)
            if (weight[at] != 0.0f && is_inside(ids[at], size) && slots[ids[at]])
                of_row[slots[ids[at]] - 1] = weight[at];
    }
    for (int64_t p = 0; p < wanted; p++)
        if (is_inside(positions[p], size))
            slots[positions[p]] = 0;
}

/* What a user did with each of `positions` before: six rows of `wanted`, filled in.
 * items, during, ages: (length,) the past in order, whether each was in the session at hand, and how long ago, in
 * any unit. bought: (owned,) ids. out: how often; how many came after the last time, `far` where there was
 * none; its age, `old` where there was none; how often in the session; whether it was bought; what share of the
 * past it is. */
void own_past(const id_t *items, const uint8_t *during, const float *ages, int64_t length, const id_t *bought,
              int64_t owned, const id_t *positions, int64_t wanted, float far, float old, id_t *slots, int64_t size,
              float *out)
{
    float *count = out, *distance = out + wanted, *age = out + 2 * wanted, *in_session = out + 3 * wanted;
    float *is_bought = out + 4 * wanted, *share = out + 5 * wanted;
    for (int64_t p = 0; p < wanted; p++) {
        count[p] = in_session[p] = is_bought[p] = 0.0f;
        distance[p] = far;
        age[p] = old;
        if (is_inside(positions[p], size) && !slots[positions[p]])
            slots[positions[p]] = (id_t)p + 1;
    }
    for (int64_t at = 0; at < length; at++) {
        if (!is_inside(items[at], size) || !slots[items[at]])
            continue;
        const id_t p = slots[items[at]] - 1;
        count[p] += 1.0f;
        in_session[p] += during[at] ? 1.0f : 0.0f;
        distance[p] = (float)(length - 1 - at);
        age[p] = ages[at];
    }
    for (int64_t at = 0; at < owned; at++)
        if (is_inside(bought[at], size) && slots[bought[at]])
            is_bought[slots[bought[at]] - 1] = 1.0f;
    for (int64_t p = 0; p < wanted; p++) {
        if (is_inside(positions[p], size)) { /* one that was there before is like the first */
            const id_t first = slots[positions[p]] - 1;
            for (int64_t row = 0; row < 5; row++)
                out[row * wanted + p] = out[row * wanted + first];
        }
        share[p] = length ? count[p] / (float)length : 0.0f;
    }
    for (int64_t p = 0; p < wanted; p++)
        if (is_inside(positions[p], size))
            slots[positions[p]] = 0;
}

/* Which sources speak most for each item: `most` of them, the strongest first, of equal ones the first.
 * scores: (sources, wanted) raw. shares: (sources,) what one unit of each counts. ranks: (wanted, most) sources.
 * values: (wanted, most) their raw scores. counts: (wanted,) how many of these count above 0 and at least `least`
 * of what the strongest does. */
void strongest(const float *scores, const float *shares, int64_t sources, int64_t wanted, int64_t most,
               float least, id_t *ranks, double *values, id_t *counts)
{
    for (int64_t p = 0; p < wanted; p++) {
        id_t *rank = ranks + p * most;
        for (int64_t s = 0; s < sources; s++) {
            const float part = scores[s * wanted + p] * shares[s];
            int64_t at = s < most ? s : most;
            while (at > 0 && part > scores[rank[at - 1] * wanted + p] * shares[rank[at - 1]]) {
                if (at < most)
                    rank[at] = rank[at - 1];
                at--;
            }
            if (at < most)
                rank[at] = (id_t)s;
        }
        const float bar = scores[rank[0] * wanted + p] * shares[rank[0]] * least;
        id_t count = 0;
        for (int64_t at = 0; at < most; at++) {
            const float raw = scores[rank[at] * wanted + p], part = raw * shares[rank[at]];
            values[p * most + at] = raw;
            count += part > 0.0f && part >= bar;
        }
        counts[p] = count;
    }
}

/* Which row each column is nearest to: nearest[p] is the row of its largest value above 0, the first of equal
 * ones, -1 where there is none. near: (rows, wanted). An id is not near itself: of, positions: the ids of rows
 * and columns. */
void nearest_rows(const float *near, const id_t *of, int64_t rows, const id_t *positions, int64_t wanted,
                  id_t *nearest)
{
    for (int64_t p = 0; p < wanted; p++) {
        float best = 0.0f;
        nearest[p] = -1;
        for (int64_t row = 0; row < rows; row++) {
            const float value = near[row * wanted + p];
            if (value > best && of[row] != positions[p]) {
                best = value;
                nearest[p] = (id_t)row;
            }
        }
    }
}
