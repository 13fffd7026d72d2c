/* Products with LANES rows at once: of W, or of a factor. Rows are whole lanes long, and aligned; so is every span of
   columns. */
#ifndef ROWS_H
#define ROWS_H

#include "lanes.h"

#if defined(__clang__)
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (masks){__VA_ARGS__})
#endif

typedef struct {
    const double *at[LANES];
} rows;

typedef struct {
    long first, end;
} span;

static inline long least(long a, long b) { return a < b ? a : b; }

static inline long most(long a, long b) { return a > b ? a : b; }

static inline long blocks_of(long count) { return (count + LANES - 1) / LANES; }

/* `count` and what is missing to whole lanes */
static inline long padded(long count) { return blocks_of(count) * LANES; }

static inline span overlap(span a, span b) { return (span){most(a.first, b.first), least(a.end, b.end)}; }

static inline span hull(span a, span b) { return (span){least(a.first, b.first), most(a.end, b.end)}; }

static inline int is_empty(span a) { return a.first >= a.end; }

/* The sums of LANES lanes over their numbers, side by side */
static inline lanes totals(const lanes *s) {
#if WIDTH == 64
    lanes pair[4], four[2];
    for (int i = 0; i < 4; i++)
        pair[i] = SHUFFLED(s[2 * i], s[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                  SHUFFLED(s[2 * i], s[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; i++)
        four[i] = SHUFFLED(pair[2 * i], pair[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                  SHUFFLED(pair[2 * i], pair[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return SHUFFLED(four[0], four[1], 0, 1, 2, 3, 8, 9, 10, 11) + SHUFFLED(four[0], four[1], 4, 5, 6, 7, 12, 13, 14, 15);
#elif WIDTH == 32
    lanes pair[2];
    for (int i = 0; i < 2; i++)
        pair[i] = SHUFFLED(s[2 * i], s[2 * i + 1], 0, 4, 2, 6) + SHUFFLED(s[2 * i], s[2 * i + 1], 1, 5, 3, 7);
    return SHUFFLED(pair[0], pair[1], 0, 1, 4, 5) + SHUFFLED(pair[0], pair[1], 2, 3, 6, 7);
#else
    return SHUFFLED(s[0], s[1], 0, 2) + SHUFFLED(s[0], s[1], 1, 3);
#endif
}

/* LANES rows of `length` numbers from one on */
static inline rows rows_from(const double *base, long length, long first) {
    rows found;
    for (int b = 0; b < LANES; b++)
        found.at[b] = base + (first + b) * length;
    return found;
}

/* LANES rows of a list, from a place of it on */
static inline rows listed(const double *base, long length, const int64_t *list, long from) {
    rows found;
    for (int b = 0; b < LANES; b++)
        found.at[b] = base + list[from + b] * length;
    return found;
}

/* sum_vb <- sum_vb + sign w_b x_v for one vector or two, still spread over the lanes of sum_vb: each row is read once for
   both. */
static inline void accumulate(lanes *sum, const rows *w, int vectors, const double *const *x, double sign, span c) {
    for (long j = c.first; j < c.end; j += LANES)
        for (int b = 0; b < LANES; b++)
            for (int v = 0; v < vectors; v++)
                sum[v * LANES + b] += load(w->at[b] + j) * (sign * load(x[v] + j));
}

/* w_b x side by side */
static inline lanes dots(const rows *w, const double *x, span c) {
    lanes sum[LANES] = {{0}};
    accumulate(sum, w, 1, &x, 1.0, c);
    return totals(sum);
}

/* x <- x - sum_b share_b w_b */
static inline void subtract(const rows *w, const double *share, double *x, span c) {
    for (long j = c.first; j < c.end; j += LANES) {
        lanes even = {0}, odd = {0};
        for (int b = 0; b < LANES; b += 2) {
            even += share[b] * load(w->at[b] + j);
            odd += share[b + 1] * load(w->at[b + 1] + j);
        }
        store(x + j, load(x + j) - (even + odd));
    }
}

#endif
